"""One training under way: the loop around the compiled steps, what it keeps and when it stops."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TrainingError
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.training import interrupts, program
from densiflow.training.adam import State
from densiflow.training.course import Course
from densiflow.training.history import History
from densiflow.training.keeper import Keeper
from densiflow.training.progress import Progress
from densiflow.training.schedule import Schedule

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
    rngs: Sequence[np.random.Generator] = ()  # what an epoch draws from on the host

    def __init__(self, flow: Flow, batch_size: int, learning_rate: float, last_step: int | None) -> None:
        self.flow = flow
        trained, self.rest = partition(flow)
        self.state = program.start(trained)
        self.best = trained  # of the best epoch, or of the last sound one where nothing judges
        parameters = sum(leaf.size for leaf in jax.tree.leaves(trained))
        self.steps = program.steps_per_run(parameters, batch_size)
        self.course = Course(learning_rate, last_step, self.epoch)

    @property
    def courses(self) -> list[Course]:
        """The one course."""
        return [self.course]

    @property
    def history(self) -> History:
        """What the course has found."""
        return self.course.history

    @property
    def schedule(self) -> Schedule:
        """The rates of the course."""
        return self.course.schedule

    def train(self, progress: Progress, keeper: Keeper) -> None:
        """Run epochs until something says stop, Ctrl-C among it."""
        with progress:
            try:
                while not self.history.stopped:
                    self.course.begin()
                    if self._epoch(progress):
                        self.course.record()
                        self._judge()
                    keeper.epoch_ended(self)
                keeper.ended()
            except KeyboardInterrupt:
                keeper.interrupted()
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
            self.course.roll_back(broken)
            self.state = program.start(self.best)
            return None
        return np.asarray(begun.losses, np.float64)[: begun.taken]

    def _keep(self) -> None:
        """The averaged weights are the best so far; copied, since the next steps use up the state."""
        self.best = program.copied(self.state.average)

    def _interrupted(self) -> None:
        """Ctrl-C: the part of an epoch that was reached counts as one, and is returned if it is the best."""
        if self.course.done:
            self.course.record()
            self._judge()
        self.history.stopped = "interrupted"

    def result(self) -> tuple[Flow, History]:
        """The flow with its best weights, or `TrainingError` if there are none worth returning."""
        if not is_finite(self.best) or self.course.found_nothing:
            raise TrainingError(self._nothing_found)
        return combine(self.best, self.rest), self.history


def is_finite(weights: Any) -> bool:
    """Whether every leaf is; on the host, where it compiles nothing."""
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(weights))
