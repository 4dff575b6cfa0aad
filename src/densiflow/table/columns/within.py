"""The scale "within": numbers above one end, below another, or between two."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats, Scale
from densiflow.table.columns.real import Real


@final
@dataclass(frozen=True)
class Within(Scale):
    r"""The logarithm of how far a number is from each end, then a `Real`.

    .. math:: u = \log(\mathrm{value} - \text{low}) - \log(\text{high} - \mathrm{value}), \qquad
              \log \frac{du}{d\,\mathrm{value}} = \log\left(\frac{1}{\mathrm{value} - \text{low}}
              + \frac{1}{\text{high} - \mathrm{value}}\right)

    An infinite end drops out of both. Every y lands between the ends.

    Shapes: ``values, y, log_volume`` (n,).

    >>> scale = Within(0.0, np.inf, Real(0.0, 1.0))
    >>> y, log_volume = scale.encode(np.array([1.0, 2.0]))
    >>> y.round(4), log_volume.round(4)
    (array([0.    , 0.6916]), array([ 0.    , -0.6998]))
    >>> scale.decode(np.array([-1e3, 0.0]))
    array([0., 1.])
    """

    low: float
    high: float
    inner: Real
    kind: ClassVar[str] = "within"

    def __post_init__(self) -> None:
        if not self.low < self.high or np.isinf([self.low, self.high]).all():
            raise ArgumentError(
                f"a bounded column needs its low end below its high end, one of them finite, got {self.low} and "
                f"{self.high}"
            )

    @classmethod
    def fit(cls, values: Floats, weight: Floats, low: float = 0.0, high: float = np.inf) -> Self:
        return cls(low, high, Real.fit(_unbounded(values, low, high), weight))

    def encode(self, values: Floats) -> tuple[Floats, Floats]:
        y, log_volume = self.inner.encode(_unbounded(values, self.low, self.high))
        # in logarithms, since beside an end one over the distance overflows
        return y, log_volume + np.logaddexp(-np.log(values - self.low), -np.log(self.high - values))

    def decode(self, y: Floats) -> Floats:
        u = self.inner.decode(y)
        with np.errstate(over="ignore"):
            if np.isinf(self.high):
                return np.minimum(self.low + np.exp(u), np.finfo(np.float64).max)
            if np.isinf(self.low):
                return np.maximum(self.high - np.exp(-u), np.finfo(np.float64).min)
            # from the nearer end, whose digits are kept
            share = np.exp(-np.abs(u)) / (1 + np.exp(-np.abs(u)))
            width = self.high - self.low
            return np.where(u < 0, self.low + width * share, self.high - width * share)

    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def to_state(self) -> dict[str, Any]:
        low, high = (float(end) if np.isfinite(end) else None for end in (self.low, self.high))
        return {"low": low, "high": high, "inner": self.inner.to_state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        low = -np.inf if state["low"] is None else float(state["low"])
        high = np.inf if state["high"] is None else float(state["high"])
        return cls(low, high, Real.from_state(state["inner"]))

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {
            "positive": cls(0.0, np.inf, Real(1.0, 0.7)),
            "negative": cls(-np.inf, 0.0, Real(-1.0, 2.0)),
            "a share": cls(0.0, 1.0, Real(0.2, 1.5)),
            "far from zero": cls(1e6, 1e6 + 3.0, Real(0.0, 1.8)),
        }


def _unbounded(values: Floats, low: float, high: float) -> Floats:
    """U of numbers strictly between the ends."""
    above = np.zeros(len(values)) if np.isinf(low) else np.log(values - low)
    return above if np.isinf(high) else above - np.log(high - values)
