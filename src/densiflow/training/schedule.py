"""The learning rate of each step."""

import math
from dataclasses import dataclass

WARM_UP = 100  # steps from zero to the peak
CUT = 0.3  # what a plateau does to the rate


@dataclass
class Schedule:
    r"""Warm-up, then a cosine to zero where the last epoch is known, times a cut at each plateau.

    .. math:: r_k = r_\text{peak} \, \min(1, k / 100) \cdot \tfrac12 (1 + \cos \pi k / K) \cdot 0.3^\text{plateaus}

    The rates are handed to the compiled program as numbers: another rate or horizon compiles nothing.
    """

    peak: float
    last_step: int | None  # K; None where training ends by patience alone
    factor: float = 1.0
    step: int = 0

    def next(self, count: int) -> list[float]:
        """The rates of the next `count` steps."""
        rates = [self._at(self.step + k) for k in range(count)]
        self.step += count
        return rates

    @property
    def last(self) -> float:
        """The rate of the step taken last."""
        return self._at(max(self.step - 1, 0))

    def cut(self, by: float = CUT) -> None:
        """Lower every later rate."""
        self.factor *= by

    def _at(self, step: int) -> float:
        warm = min(1.0, (step + 1) / WARM_UP)
        cosine = 1.0 if self.last_step is None else 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.last_step)))
        return self.peak * warm * cosine * self.factor
