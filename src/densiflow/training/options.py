"""How to train, checked before training starts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from densiflow.arguments import check_count, is_real
from densiflow.errors import ArgumentError
from densiflow.table.refusals import shown


@dataclass(frozen=True)
class Options:
    """How to train; `fit` says what each means. Raises `ArgumentError` for a value that can't be."""

    max_epochs: int | None = None
    patience: int | None = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    verbose: bool | None = None

    @property
    def of_steps(self) -> dict[str, float]:
        """Those that a step depends on, by name."""
        return {
            "batch_size": int(self.batch_size),
            "learning_rate": float(self.learning_rate),
            "weight_decay": float(self.weight_decay),
        }

    def __post_init__(self) -> None:
        if self.max_epochs is None and self.patience is None:
            raise ArgumentError("max_epochs and patience are both None: training would never end; give one of them")
        for name in ("max_epochs", "patience"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), 1)
        check_count("batch_size", self.batch_size, 1)
        check_rate(self.learning_rate)
        rate, decay = self.learning_rate, self.weight_decay
        if not (is_real(decay) and 0 <= decay < 1 / float(rate)):
            raise ArgumentError(
                f"weight_decay must be a number of at least 0 and below 1 / learning_rate, got {shown(decay)}"
            )


def check_rate(rate: Any) -> None:
    """Raise `ArgumentError` unless the learning rate is one."""
    if not (is_real(rate) and 0 < rate < np.inf):
        raise ArgumentError(f"learning_rate must be a number, positive and finite, got {shown(rate)}")
