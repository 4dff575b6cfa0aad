"""The scale "real": any number, linear where the data are and logarithmic far out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

import numpy as np

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats, Scale

LARGEST = float(np.finfo(np.float64).max)


@final
@dataclass(frozen=True)
class Real(Scale):
    r"""Standardise a column, and bend what lies far out onto a logarithmic scale.

    .. math:: u = \frac{\mathrm{value} - \text{shift}}{\text{scale}}, \qquad y = c \, \operatorname{asinh}(u / c)

    .. math:: \text{log\_volume} = -\log \text{scale} - \tfrac12 \log\bigl(1 + (u / c)^2\bigr)

    ``shift`` and ``scale``, in the units of the column, are its weighted mean and standard deviation; c is ``bend``,
    in standard deviations: y is nearly u below it and grows with log u beyond. The map is smooth, and it cancels
    units: a column in metres and the same one in millimetres have equal y. The largest float64 still has \|y\| below
    10000, so no row lies so far out that float32 arithmetic breaks. A scale that would be 0 is ``|shift|``, or 1 where
    that is 0 as well.

    Shapes: ``values, y, log_volume`` (n,).

    >>> column = Real.fit(np.array([1.0, 3.0]), np.ones(2))
    >>> column
    Real(shift=2.0, scale=1.0, bend=6.0)
    >>> y, log_volume = column.encode(np.array([4.0, 1e6]))
    >>> y.round(4), log_volume.round(4)
    (array([ 1.9647, 76.3014]), array([ -0.0527, -12.0237]))
    >>> column.decode(y).round(6)
    array([4.e+00, 1.e+06])
    """

    shift: float
    scale: float
    bend: float = 6.0
    kind: ClassVar[str] = "real"

    def __post_init__(self) -> None:
        if not (abs(self.shift) <= LARGEST and 0 < self.scale <= LARGEST and 0 < self.bend <= LARGEST):
            raise ArgumentError(
                f"a real column needs a finite shift and a positive, finite scale and bend, got {self.shift}, "
                f"{self.scale} and {self.bend}"
            )

    @classmethod
    def fit(cls, values: Floats, weight: Floats) -> Self:
        share = weight / weight.sum()
        with np.errstate(over="ignore"):  # rounding can take the mean of the largest numbers beyond them
            mean = _in_range(float(share @ values))
            # the second pass removes the rounding of the first
            mean = _in_range(mean + float(share @ _difference(values, mean)))
        distance = np.where(share > 0, np.abs(_difference(values, mean)), 0.0)
        unit = float(distance.max())  # squares of very large or very small distances leave the range of float64
        deviation = unit * float(np.sqrt(share @ (distance / unit) ** 2)) if unit > 0 else 0.0
        return cls(mean, deviation or abs(mean) or 1.0)

    def encode(self, values: Floats) -> tuple[Floats, Floats]:
        distance = _difference(values, self.shift)
        with np.errstate(over="ignore", divide="ignore"):
            v = np.abs(distance) / (self.scale * self.bend)
            # v is infinite where a distance is that much larger than the scale; its logarithm is not
            log_v = np.log(np.abs(distance)) - np.log(self.scale) - np.log(self.bend)
            y = self.bend * np.where(np.isfinite(v), np.arcsinh(v), np.log(2) + log_v)
            bent = np.where(np.isfinite(v), np.log(np.hypot(1.0, v)), log_v)
        return np.sign(distance) * y, -np.log(self.scale) - bent

    def decode(self, y: Floats) -> Floats:
        with np.errstate(over="ignore"):
            v = np.sinh(np.abs(y) / self.bend)
            unit = self.scale * self.bend
            distance = np.where(np.isfinite(v), v * unit, np.exp(np.abs(y) / self.bend - np.log(2) + np.log(unit)))
            values = self.shift + np.sign(y) * distance
        return np.clip(values, -LARGEST, LARGEST)

    def to_state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(float(state["shift"]), float(state["scale"]), float(state["bend"]))

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {
            "standard": cls(0.0, 1.0),
            "shifted": cls(-7.5, 0.3),
            "far from zero": cls(1.7e9, 2.0),
            "tiny unit": cls(0.0, 1e-300),
            "large unit": cls(3e12, 1e12),
            "bends early": cls(0.5, 2.0, bend=0.25),
        }


def _in_range(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


def _difference(values: Floats, centre: float) -> Floats:
    """``values - centre``, the largest float64 where that would overflow."""
    with np.errstate(over="ignore"):
        return np.clip(values - centre, -LARGEST, LARGEST)
