"""An ensemble's training under way: one device program for all members, a course of its own for each."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from densiflow.ensemble import Ensemble, stacked
from densiflow.errors import TrainingError
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.training import interrupts, members, program
from densiflow.training.course import Course
from densiflow.training.held_out import HeldOut
from densiflow.training.history import History
from densiflow.training.keeper import Keeper
from densiflow.training.likelihood import found, laid_out, nothing_found
from densiflow.training.options import Options
from densiflow.training.progress import Progress
from densiflow.training.rows import Rows, batches
from densiflow.training.run import is_finite

Booleans = NDArray[np.bool_]


class UnderWay(NamedTuple):
    """Steps of all members handed to the device."""

    losses: Any  # (members, steps)
    broken: Any  # (members,), how many steps were not sound
    in_batch: list[NDArray[np.integer] | None]  # of each member that takes part, the rows of each batch


class EnsembleRun:
    """The state of one fit of an ensemble.

    Members go through their epochs side by side. One that has stopped, or has met a loss that is not finite in this
    epoch, takes no part: its steps are none, and whatever the device gives for it is left unread.
    """

    def __init__(
        self,
        flows: Sequence[Flow],
        trains: Sequence[Rows],
        helds: Sequence[Rows] | None,
        rngs: Sequence[np.random.Generator],
        options: Options,
    ) -> None:
        self.flow, self.rngs, self.options = flows[0], rngs, options
        self.rows = [train.astype(self.flow.dtype) for train in trains]
        self.held = None if helds is None else HeldOut(_stacked_rows(helds), self.flow)
        self.batch_size, last_step = laid_out(len(trains[0]), options)
        trained, self.rest = partition(stacked(list(flows)))
        self.state = members.start(trained)
        self.best = trained  # fresh, being stacked; of the best epoch of each member
        self.steps = program.steps_per_run(sum(leaf.size for leaf in jax.tree.leaves(trained)), self.batch_size)
        self.courses = [Course(options.learning_rate, last_step) for _ in flows]
        self.decay = np.asarray(options.weight_decay, self.flow.dtype)

    def train(self, progress: Progress, keeper: Keeper) -> None:
        """Run epochs until every member has stopped, or Ctrl-C."""
        with progress:
            try:
                while not all(course.history.stopped for course in self.courses):
                    self._epoch(progress)
                    keeper.epoch_ended(self)
                keeper.ended()
            except KeyboardInterrupt:
                keeper.interrupted()
                self._interrupted()

    def _epoch(self, progress: Progress) -> None:
        """One epoch of every member that has not stopped, judged at its end."""
        training = np.array([not course.history.stopped for course in self.courses])
        for course in self.courses:
            course.begin()
        orders = [
            batches(rows, self.batch_size, self.steps, rng) if part else None
            for rows, rng, part in zip(self.rows, self.rngs, training, strict=True)
        ]
        self.taking_part = training.copy()
        before: UnderWay | None = None
        for _ in range(-(-len(self.rows[0]) // (self.batch_size * self.steps))):
            begun = self._begin([next(order) if order is not None else None for order in orders])
            # as in a single fit, results are read one run late, so that the device has work meanwhile
            if before is not None:
                self._end(before, progress)
            before = begun
        if before is not None:
            self._end(before, progress)
        gone_back = training & ~self.taking_part
        if gone_back.any():
            with interrupts.held():
                self.state = members.restarted(self.state, self.best, gone_back)
        self._judge(self.taking_part)

    def _begin(self, groups: Sequence[Any]) -> UnderWay:
        """Hand the next steps of the members that take part to the device; zeros for the others."""
        whose = [group if part else None for group, part in zip(groups, self.taking_part, strict=True)]
        some = next(group for group in groups if group is not None)
        filled = [some if group is None else group for group in whose]
        parts = [[group[i] for group in filled] for i in range(3)]
        x, context, weight = (None if part[0] is None else np.stack(part) for part in parts)
        rates = np.zeros((len(groups), self.steps), self.flow.dtype)
        counts = np.zeros(len(groups), np.int32)
        in_batch: list[NDArray[np.integer] | None] = []
        for m, group in enumerate(whose):
            if group is None:
                in_batch.append(None)
                continue
            *_, share, counts[m] = group
            rates[m, : counts[m]] = self.courses[m].schedule.next(int(counts[m]))
            in_batch.append(np.count_nonzero(share[: counts[m]], axis=1))
        batch = {"x": x, "context": context, "weight": weight}
        with interrupts.held():
            self.state, losses, broken = members.run(
                self.state, rates, counts, rest=self.rest, decay=self.decay, **batch
            )
        return UnderWay(losses, broken, in_batch)

    def _end(self, begun: UnderWay, progress: Progress) -> None:
        """Wait for the losses of some steps; a member that met one not finite is out until the next epoch."""
        broken, losses = np.asarray(begun.broken), np.asarray(begun.losses, np.float64)
        for m, course in enumerate(self.courses):
            in_batch = begun.in_batch[m]
            if in_batch is None or not self.taking_part[m]:
                continue
            if broken[m]:
                course.roll_back(int(broken[m]))
                course.begin()  # what this epoch has found so far counts for nothing
                self.taking_part[m] = False
            else:
                course.count(*found(losses[m, : len(in_batch)], in_batch, self.rows[m]))
        reached = [len(course.history.train) + course.done / len(self.rows[0]) for course in self.courses]
        progress.update(_mean([course.history for course in self.courses]), max(reached))

    def _judge(self, ended: Booleans) -> None:
        """Score the members whose epoch has ended, and keep the weights that are their best so far."""
        if not ended.any():
            return
        scores: Any = [None] * len(self.courses)
        if self.held is not None:
            scores = self.held.scores(partial(members.log_prob, combine(self.state.average, self.rest)))
        better = np.zeros(len(self.courses), bool)
        for m in np.flatnonzero(ended):
            self.courses[m].record()
            better[m] = self.courses[m].judge(None if scores[m] is None else float(scores[m]), self.options)
        if better.any():
            with interrupts.held():
                self.best = members.kept(self.best, self.state.average, better)

    def _interrupted(self) -> None:
        """Ctrl-C: the part of an epoch that was reached counts as one for each member."""
        training = [not course.history.stopped for course in self.courses]
        self._judge(np.array([part and course.done > 0 for part, course in zip(training, self.courses, strict=True)]))
        for course, part in zip(self.courses, training, strict=True):
            if part:
                course.history.stopped = "interrupted"

    def result(self) -> tuple[Ensemble, list[History]]:
        """The members with their best weights, or `TrainingError` if one has none worth returning."""
        finite = is_finite(self.best)
        for m, course in enumerate(self.courses):
            if not finite or course.found_nothing:
                raise TrainingError(f"member {m}: {nothing_found(self.flow, course.history)}")
        histories = [course.history for course in self.courses]
        return Ensemble(combine(self.best, self.rest), len(histories)), histories


def _stacked_rows(members: Sequence[Rows]) -> Rows:
    """The rows of all members with a leading axis of members."""

    def part(name: str) -> Any:
        parts = [getattr(rows, name) for rows in members]
        return None if parts[0] is None else np.stack(parts)

    return Rows(part("x"), part("context"), part("weight"), part("log_volume"))


def _mean(histories: Sequence[History]) -> History:
    """What a person sees of several courses: means over the members of what each reached last."""
    shown = History(best_epoch=max((h.best_epoch for h in histories if h.best_epoch is not None), default=None))
    for name in ("train", "validation"):
        last = [getattr(history, name)[-1] for history in histories if getattr(history, name)]
        if last:
            setattr(shown, name, [float(np.mean(last))])
    return shown
