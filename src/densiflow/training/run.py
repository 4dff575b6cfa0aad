"""One training under way: the loop around the compiled steps, what it keeps and when it stops."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TrainingError, TrainingWarning
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.training import program
from densiflow.training.history import History
from densiflow.training.progress import Progress
from densiflow.training.schedule import Schedule

MAX_ROLLBACKS = 4

Compiled = Callable[[program.State, NDArray[Any], NDArray[Any]], tuple[program.State, Any, Any]]


class Run(ABC):
    """The state of one training, between the compiled runs of steps.

    It goes by epochs, each judged when it ends; what an epoch is, and what judges it, a subclass says.
    """

    epoch: ClassVar[str] = "epoch"  # what one is called

    def __init__(self, flow: Flow, batch_size: int, learning_rate: float, last_step: int | None) -> None:
        self.flow = flow
        trained, self.rest = partition(flow)
        self.state = program.start(trained)
        self.best = trained  # of the best epoch, or of the last sound one where nothing judges
        self.best_score = -np.inf
        parameters = sum(leaf.size for leaf in jax.tree.leaves(trained))
        self.steps = program.steps_per_run(parameters, batch_size)
        self.schedule = Schedule(learning_rate, last_step)
        self.nats, self.done = 0.0, 0  # of the epoch under way: a sum, and of how many
        self.history = History()

    def train(self, progress: Progress) -> None:
        """Run epochs until something says stop, Ctrl-C among it."""
        with progress:
            try:
                while not self.history.stopped:
                    if self._epoch(progress):
                        self._judge()
                    elif self.history.rollbacks > MAX_ROLLBACKS:
                        self.history.stopped = "the loss was not finite too often"
            except KeyboardInterrupt:
                self._interrupted()

    @abstractmethod
    def _epoch(self, progress: Progress) -> bool:
        """One epoch; False if it met a loss that is not finite and went back."""

    @abstractmethod
    def _judge(self) -> None:
        """Score the state after an epoch, keep the best, and decide whether to stop."""

    @property
    @abstractmethod
    def _nothing_found(self) -> str:
        """What to say where no finite loss was found."""

    def _advance(self, compiled: Compiled, count: int) -> NDArray[np.float64] | None:
        """Take `count` steps and return their losses; None if one was not finite, and training went back.

        `compiled` takes the state, the rates of a fixed number of steps and the count.
        """
        rates = np.zeros(self.steps, self.flow.dtype)
        rates[:count] = self.schedule.next(count)
        state, losses, broken = compiled(self.state, rates, np.asarray(count, np.int32))
        if int(broken):
            self._roll_back(int(broken))
            return None
        self.state = state
        return np.asarray(losses, np.float64)[:count]

    def _roll_back(self, broken: int) -> None:
        self.history.rollbacks += 1
        warnings.warn(
            f"the loss was not finite in {broken} steps of {self.epoch} {len(self.history.train)}; "
            f"going back to the best weights with half the learning rate",
            TrainingWarning,
            stacklevel=6,
        )
        self.state = program.start(self.best)
        self.schedule.cut(0.5)

    def _record(self) -> None:
        """Enter the epoch, or the part of it that was reached, into the history."""
        self.history.train.append(self.nats / self.done)
        self.history.learning_rate.append(self.schedule.last)
        self.done = 0

    def _is_better(self, score: float) -> bool:
        """Keep the averaged weights if their score is the best so far."""
        if not score > self.best_score:
            return False
        self.best, self.best_score = self.state.average, score
        self.history.best_epoch = len(self.history.train) - 1
        return True

    def _interrupted(self) -> None:
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
            raise TrainingError(self._nothing_found)
        return combine(self.best, self.rest), self.history
