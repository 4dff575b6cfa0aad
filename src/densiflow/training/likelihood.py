"""Training by maximum likelihood under way: epochs over rows, judged by the rows held out."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from densiflow.fixed import combine
from densiflow.flow import Flow
from densiflow.flow import _log_prob as log_prob
from densiflow.training import program
from densiflow.training.held_out import HeldOut
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, batches
from densiflow.training.run import Run, UnderWay

Begun = tuple[UnderWay, NDArray[np.integer]]  # steps, and the rows of each batch


class LikelihoodRun(Run):
    """The state of one fit to rows."""

    def __init__(self, flow: Flow, train: Rows, held: Rows | None, rng: np.random.Generator, options: Options) -> None:
        self.rows, self.rng, self.options = train.astype(flow.dtype), rng, options
        self.held = None if held is None else HeldOut(held, flow)
        # a table smaller than a batch makes batches of the next power of two: few shapes, little waste
        self.batch_size = min(options.batch_size, 1 << (len(train) - 1).bit_length())
        per_epoch = -(-len(train) // self.batch_size)
        last_step = None if options.max_epochs is None else options.max_epochs * per_epoch
        super().__init__(flow, self.batch_size, options.learning_rate, last_step)
        self.decay = np.asarray(options.weight_decay, self.rows.x.dtype)
        self.waiting = 0  # epochs since the last improvement or cut

    def _epoch(self, progress: Progress) -> bool:
        self.nats, self.done = 0.0, 0
        before: Begun | None = None
        for x, context, weight, count in batches(self.rows, self.batch_size, self.steps, self.rng):
            batch = {"x": x, "context": context, "weight": weight}
            run = partial(program.run, rest=self.rest, decay=self.decay, **batch)
            begun = self._begin(run, count), np.count_nonzero(weight[:count], axis=1)
            # the results before are read once these steps wait in line: the device has work while rows are gathered
            if before is not None and not self._count(before, progress):
                return False
            before = begun
        if before is None or not self._count(before, progress):
            return False
        self._record()
        return True

    def _count(self, begun: Begun, progress: Progress) -> bool:
        """Add what steps under way have found; False if training went back."""
        under_way, in_batch = begun
        losses = self._end(under_way)
        if losses is None:
            return False
        self.nats += float(self.rows.mean_log_volume * in_batch.sum() - losses @ in_batch)
        self.done += int(in_batch.sum())
        progress.update(self.history, len(self.history.train) + self.done / len(self.rows))
        return True

    def _judge(self) -> None:
        """Score the held-out rows; without any, the last weights are the best."""
        epoch = len(self.history.train) - 1
        if self.held is None:
            self.best, self.history.best_epoch = program.copied(self.state.average), epoch
        else:
            score = float(self.held.scores(partial(log_prob, combine(self.state.average, self.rest))))
            self.history.validation.append(score)
            self._cut_on_a_plateau(self._is_better(score))
        if self.options.max_epochs is not None and epoch + 1 >= self.options.max_epochs:
            self.history.stopped = "max_epochs reached"
        elif self.held is not None and self.options.patience is not None:
            since = epoch - (-1 if self.history.best_epoch is None else self.history.best_epoch)
            if since >= self.options.patience:
                self.history.stopped = f"no better held-out log-likelihood for {self.options.patience} epochs"

    def _cut_on_a_plateau(self, improved: bool) -> None:
        self.waiting = 0 if improved else self.waiting + 1
        patience = self.options.patience
        if patience is not None and self.waiting >= max(1, patience // 3):
            self.schedule.cut()
            self.waiting = 0

    @property
    def _nothing_found(self) -> str:
        return (
            f"no finite log-likelihood was found ({self.history.rollbacks} restarts with smaller learning "
            f"rates): do the rows lie in the flow's domain ({self.flow.bijection.domain.name}) and its base's "
            f"support ({self.flow.base.support.name})?"
        )
