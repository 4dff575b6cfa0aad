"""Training by maximum likelihood under way: epochs over rows, judged by the rows held out."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from densiflow.fixed import combine
from densiflow.flow import Flow
from densiflow.flow import _log_prob as log_prob
from densiflow.training import program
from densiflow.training.held_out import HeldOut
from densiflow.training.history import History
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, batches
from densiflow.training.run import Run, UnderWay

Begun = tuple[UnderWay, NDArray[np.integer]]  # steps, and the rows of each batch


class LikelihoodRun(Run):
    """The state of one fit to rows."""

    def __init__(self, flow: Flow, train: Rows, held: Rows | None, rng: np.random.Generator, options: Options) -> None:
        self.rows, self.rngs, self.options = train.astype(flow.dtype), [rng], options
        self.held = None if held is None else HeldOut(held, flow)
        self.batch_size, last_step = laid_out(len(train), options)
        super().__init__(flow, self.batch_size, options.learning_rate, last_step)
        self.decay = np.asarray(options.weight_decay, self.rows.x.dtype)

    def _epoch(self, progress: Progress) -> bool:
        before: Begun | None = None
        for x, context, weight, count in batches(self.rows, self.batch_size, self.steps, self.rngs[0]):
            batch = {"x": x, "context": context, "weight": weight}
            run = partial(program.run, rest=self.rest, decay=self.decay, **batch)
            begun = self._begin(run, count), np.count_nonzero(weight[:count], axis=1)
            # the results before are read once these steps wait in line: the device has work while rows are gathered
            if before is not None and not self._count(before, progress):
                return False
            before = begun
        return before is not None and self._count(before, progress)

    def _count(self, begun: Begun, progress: Progress) -> bool:
        """Add what steps under way have found; False if training went back."""
        under_way, in_batch = begun
        losses = self._end(under_way)
        if losses is None:
            return False
        self.course.count(*found(losses, in_batch, self.rows))
        progress.update(self.history, len(self.history.train) + self.course.done / len(self.rows))
        return True

    def _judge(self) -> None:
        """Score the held-out rows; without any, the last weights are the best."""
        score = None
        if self.held is not None:
            score = float(self.held.scores(partial(log_prob, combine(self.state.average, self.rest))))
        if self.course.judge(score, self.options):
            self._keep()

    @property
    def _nothing_found(self) -> str:
        return nothing_found(self.flow, self.history)


def laid_out(rows: int, options: Options) -> tuple[int, int | None]:
    """Rows a batch, and the last step where it is known.

    A table smaller than a batch makes batches of the next power of two: few shapes, little waste.
    """
    batch_size = min(options.batch_size, 1 << (rows - 1).bit_length())
    return batch_size, None if options.max_epochs is None else options.max_epochs * -(-rows // batch_size)


def found(losses: NDArray[np.float64], in_batch: NDArray[np.integer], rows: Rows) -> tuple[float, int]:
    """The nats that some batches' losses amount to, a sum over their rows, and how many these are."""
    return float(rows.mean_log_volume * in_batch.sum() - losses @ in_batch), int(in_batch.sum())


def nothing_found(flow: Flow, history: History) -> str:
    """What to say where no finite loss was found."""
    return (
        f"no finite log-likelihood was found ({history.rollbacks} restarts with smaller learning "
        f"rates): do the rows lie in the flow's domain ({flow.bijection.domain.name}) and its base's "
        f"support ({flow.base.support.name})?"
    )
