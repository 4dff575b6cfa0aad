"""One fit under way: the loop around the compiled steps, what it keeps and when it stops."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from densiflow.errors import TrainingError, TrainingWarning
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.training import program
from densiflow.training.history import History
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, batches
from densiflow.training.schedule import Schedule

MAX_ROLLBACKS = 4


class Run:
    """The state of one fit, between the compiled runs of steps."""

    def __init__(self, flow: Flow, train: Rows, held: Rows | None, rng: np.random.Generator, options: Options) -> None:
        self.flow, self.rows, self.held, self.rng, self.options = flow, train.astype(flow.dtype), held, rng, options
        trained, self.rest = partition(flow)
        self.state = program.start(trained)
        self.best = trained  # of the best epoch, or of the last sound one where nothing is held out
        self.best_score = -np.inf
        # a table smaller than a batch makes batches of the next power of two: few shapes, little waste
        self.batch_size = min(options.batch_size, 1 << (len(train) - 1).bit_length())
        parameters = sum(leaf.size for leaf in jax.tree.leaves(trained))
        self.steps = program.steps_per_run(parameters, self.batch_size)
        per_epoch = -(-len(train) // self.batch_size)
        last_step = None if options.max_epochs is None else options.max_epochs * per_epoch
        self.schedule = Schedule(options.learning_rate, last_step)
        self.decay = np.asarray(options.weight_decay, self.rows.x.dtype)
        self.waiting = 0  # epochs since the last improvement or cut
        self.nats, self.done = 0.0, 0  # of the epoch under way: the sum over its rows, and how many
        self.history = History()

    def train(self, progress: Progress) -> None:
        """Run epochs until something says stop."""
        while not self.history.stopped:
            if self._epoch(progress):
                self._judge()
            elif self.history.rollbacks > MAX_ROLLBACKS:
                self.history.stopped = "the loss was not finite too often"

    def _epoch(self, progress: Progress) -> bool:
        """One pass over the rows; False if it met a loss that is not finite and went back."""
        self.nats, self.done = 0.0, 0
        for x, context, weight, count in batches(self.rows, self.batch_size, self.steps, self.rng):
            rates = np.zeros(self.steps, self.rows.x.dtype)
            rates[:count] = self.schedule.next(count)
            state, losses, broken = program.run(
                self.state, self.rest, x, context, weight, rates, self.decay, np.asarray(count, np.int32)
            )
            if int(broken):
                self._roll_back(int(broken))
                return False
            self.state = state
            in_batch = np.count_nonzero(weight, axis=1)
            self.nats -= float(np.asarray(losses, np.float64) @ in_batch)
            self.done += int(in_batch.sum())
            progress.update(self.history, len(self.history.train) + self.done / len(self.rows))
        self._record()
        return True

    def _record(self) -> None:
        """Enter the epoch, or the part of it that was reached, into the history."""
        self.history.train.append(self.nats / self.done + self.rows.mean_log_volume)
        self.history.learning_rate.append(self.schedule.last)
        self.done = 0

    def _roll_back(self, broken: int) -> None:
        self.history.rollbacks += 1
        warnings.warn(
            f"the loss was not finite in {broken} steps of epoch {len(self.history.train)}; "
            f"going back to the best weights with half the learning rate",
            TrainingWarning,
            stacklevel=5,
        )
        self.state = program.start(self.best)
        self.schedule.cut(0.5)

    def _judge(self) -> None:
        """Score the held-out rows after an epoch, keep the best, and decide whether to stop."""
        epoch = len(self.history.train) - 1
        if self.held is None:
            self.best, self.history.best_epoch = self.state.average, epoch
        else:
            score = self._held_out(self.held)
            self.history.validation.append(score)
            self._compare(score, epoch)
        if self.options.max_epochs is not None and epoch + 1 >= self.options.max_epochs:
            self.history.stopped = "max_epochs reached"
        elif self.held is not None and self.options.patience is not None:
            since = epoch - (-1 if self.history.best_epoch is None else self.history.best_epoch)
            if since >= self.options.patience:
                self.history.stopped = f"no better held-out log-likelihood for {self.options.patience} epochs"

    def _compare(self, score: float, epoch: int) -> None:
        if score > self.best_score:
            self.best, self.best_score, self.history.best_epoch = self.state.average, score, epoch
            self.waiting = 0
            return
        self.waiting += 1
        patience = self.options.patience
        if patience is not None and self.waiting >= max(1, patience // 3):
            self.schedule.cut()
            self.waiting = 0

    def _held_out(self, held: Rows) -> float:
        """Mean log-likelihood of the held-out rows, nats; -inf where it is not a number."""
        flow = combine(self.state.average, self.rest)
        nats = np.asarray(flow.log_prob(held.x, held.context), np.float64)
        score = float(np.average(nats, weights=held.weight)) + held.mean_log_volume
        return score if np.isfinite(score) else -np.inf

    def interrupted(self) -> None:
        """Ctrl-C: the part of an epoch that was reached counts as one, and is returned if it is the best."""
        if self.done:
            self._record()
            self._judge()
        self.history.stopped = "interrupted"

    def result(self) -> tuple[Flow, History]:
        """The flow with its best weights, or `TrainingError` if there are none worth returning."""
        finite = all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(self.best))
        interrupted = self.history.stopped == "interrupted"
        if not finite or (self.history.best_epoch is None and not interrupted):
            raise TrainingError(
                f"no finite log-likelihood was found ({self.history.rollbacks} restarts with smaller learning "
                f"rates): do the rows lie in the flow's domain ({self.flow.bijection.domain.name}) and its base's "
                f"support ({self.flow.base.support.name})?"
            )
        return combine(self.best, self.rest), self.history
