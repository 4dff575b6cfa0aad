"""One training under way: the loop around the compiled steps, what it keeps and when it stops."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TrainingError, TrainingWarning
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.training import interrupts, program
from densiflow.training.adam import State
from densiflow.training.history import History
from densiflow.training.progress import Progress
from densiflow.training.schedule import Schedule

MAX_ROLLBACKS = 4

Compiled = Callable[[State, NDArray[Any], NDArray[Any]], tuple[State, Any, Any]]


class UnderWay(NamedTuple):
    """Steps handed to the device, whose results may not be there yet."""

    losses: Any  # (steps,)
    broken: Any  # how many steps were not sound
    taken: int  # how many were real


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

    def _begin(self, compiled: Compiled, count: int) -> UnderWay:
        """Hand `count` steps to the device, without waiting for it.

        `compiled` takes the state, the rates of a fixed number of steps and the count; the state it uses up.
        """
        rates = np.zeros(self.steps, self.flow.dtype)
        rates[:count] = self.schedule.next(count)
        with interrupts.held():
            self.state, losses, broken = compiled(self.state, rates, np.asarray(count, np.int32))
        return UnderWay(losses, broken, taken=count)

    def _end(self, begun: UnderWay) -> NDArray[np.float64] | None:
        """Wait for the steps' losses; None if one was not finite, and training went back."""
        if broken := int(begun.broken):
            self._roll_back(broken)
            return None
        return np.asarray(begun.losses, np.float64)[: begun.taken]

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
        self.best, self.best_score = program.copied(self.state.average), score
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
