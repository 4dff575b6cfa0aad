"""The course of one training: what it found, the rate of its next steps, when it stops."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from densiflow.errors import TrainingWarning
from densiflow.training.history import History
from densiflow.training.options import Options
from densiflow.training.schedule import Schedule

MAX_ROLLBACKS = 4


class Course:
    """Numbers about a training, none of its weights; each member of an ensemble has its own.

    It goes by epochs: `begin`, `count` what steps found, `record`, `judge`.
    """

    def __init__(self, learning_rate: float, last_step: int | None, epoch: str = "epoch") -> None:
        self.history = History()
        self.schedule = Schedule(learning_rate, last_step)
        self.epoch = epoch  # what one is called
        self.best_score = -np.inf
        self.waiting = 0  # epochs since the last improvement or cut
        self.begin()

    def begin(self) -> None:
        """Before an epoch."""
        self.nats, self.done = 0.0, 0  # a sum, and of how many

    def count(self, nats: float, rows: int) -> None:
        """Add what steps have found."""
        self.nats += nats
        self.done += rows

    def record(self) -> None:
        """Enter the epoch, or the part of it that was reached, into the history."""
        self.history.train.append(self.nats / self.done)
        self.history.learning_rate.append(self.schedule.last)
        self.done = 0

    def roll_back(self, broken: int) -> None:
        """Warn of steps that were not sound, and go on with half the rate, or not at all after too many of them."""
        self.history.rollbacks += 1
        warnings.warn(
            f"the loss was not finite in {broken} steps of {self.epoch} {len(self.history.train)}; "
            f"going back to the best weights with half the learning rate",
            TrainingWarning,
            stacklevel=8,
        )
        self.schedule.cut(0.5)
        if self.history.rollbacks > MAX_ROLLBACKS:
            self.history.stopped = "the loss was not finite too often"

    def is_best(self, score: float | None) -> bool:
        """Enter the epoch's score, None where nothing judges; whether the epoch's weights are the best so far."""
        if score is None:
            self.history.best_epoch = len(self.history.train) - 1
            return True
        self.history.validation.append(score)
        if not score > self.best_score:
            return False
        self.best_score = score
        self.history.best_epoch = len(self.history.train) - 1
        return True

    def judge(self, score: float | None, options: Options) -> bool:
        """`is_best`; and cut the rate on a plateau, and stop where the options say so."""
        best, patience = self.is_best(score), options.patience
        if score is not None and patience is not None:
            self._cut_on_a_plateau(best, patience)
        epochs = len(self.history.train)
        if options.max_epochs is not None and epochs >= options.max_epochs:
            self.history.stopped = "max_epochs reached"
        elif score is not None and patience is not None:
            of_best = -1 if self.history.best_epoch is None else self.history.best_epoch
            if epochs - 1 - of_best >= patience:
                self.history.stopped = f"no better held-out log-likelihood for {patience} epochs"
        return best

    def _cut_on_a_plateau(self, improved: bool, patience: int) -> None:
        self.waiting = 0 if improved else self.waiting + 1
        if self.waiting >= max(1, patience // 3):
            self.schedule.cut()
            self.waiting = 0

    def to_state(self) -> dict[str, Any]:
        """Everything that a course is between two epochs, as plain values."""
        return {
            "history": asdict(self.history),
            "factor": self.schedule.factor,
            "step": self.schedule.step,
            "best_score": self.best_score,
            "waiting": self.waiting,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where a course of the same learning rate was, to an end of its own."""
        self.history = History.of(state["history"])
        self.schedule.factor, self.schedule.step = state["factor"], state["step"]
        self.best_score, self.waiting = state["best_score"], state["waiting"]

    @property
    def found_nothing(self) -> bool:
        """Whether no epoch was worth keeping, and nobody interrupted."""
        return self.history.best_epoch is None and self.history.stopped != "interrupted"
