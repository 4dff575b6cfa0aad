"""The grid that a column's numbers lie on, in exact decimal arithmetic."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats

EXACT = 2.0**53  # up to here float64 holds every integer
MOST_DECIMALS = 22  # up to here it holds every power of ten


@final
@dataclass(frozen=True)
class Grid:
    r"""Numbers in equal steps, each the float64 nearest to its decimal.

    .. math:: \mathrm{value}_i = (i \cdot \text{step} + \text{offset}) \cdot 10^{-\text{decimals}}

    The bracket is an integer that float64 holds, and so is the power of ten: one division rounds once, which gives
    the float64 that the decimal's text gives. With ``single`` it is rounded to float32 as well, as a column of that
    type has it.

    >>> grid = Grid(step=1, decimals=1)
    >>> grid.value(np.array([3.0])).tolist(), 0.1 + 0.2
    ([0.3], 0.30000000000000004)
    >>> Grid(step=25, decimals=-1).value(np.array([1.0, 2.0])).tolist()
    [250.0, 500.0]
    """

    step: int
    offset: int = 0
    decimals: int = 0
    single: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.step < EXACT and 0 <= self.offset < self.step and abs(self.decimals) <= MOST_DECIMALS):
            raise ArgumentError(
                f"a grid needs a step above 0, an offset from 0 to below the step, and at most {MOST_DECIMALS} "
                f"decimals, got {self.step}, {self.offset} and {self.decimals}"
            )

    @property
    def width(self) -> float:
        """The step in the units of the column."""
        return float(_scaled(np.array([float(self.step)]), self.decimals)[0])

    @property
    def last(self) -> float:
        """The place up to which, on either side of 0, units are integers that float64 holds, rounded to float32 too."""
        return EXACT * (1 - 2.0**-20) // self.step

    def value(self, index: Floats) -> Floats:
        """The numbers at these places of the grid."""
        with np.errstate(over="ignore"):  # where a type ends there are no places
            values = _scaled(index * self.step + self.offset, self.decimals)
            return values.astype(np.float32).astype(np.float64) if self.single else values

    def nearest(self, values: Floats) -> Floats:
        """The places nearest to these numbers."""
        return np.rint((_scaled(values, -self.decimals) - self.offset) / self.step)

    def rounded(self, values: Floats) -> Floats:
        """The numbers of the grid nearest to these."""
        return self.value(np.clip(self.nearest(values), -self.last, self.last))

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Which numbers lie on the grid, to the last bit."""
        units = np.rint(_scaled(values, -self.decimals))
        on_grid = (np.abs(units) < EXACT) & (self.value(self.nearest(values)) == values)
        return np.asarray(on_grid, bool)

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """The outermost numbers of the grid between two ends, infinite where an end is."""
        first, last = (self.nearest(np.array([end])) if np.isfinite(end) else None for end in (low, high))
        if first is not None:
            first = first + (self.value(first) < low)
        if last is not None:
            last = last - (self.value(last) > high)
        return (
            -np.inf if first is None else float(self.value(first)[0]),
            np.inf if last is None else float(self.value(last)[0]),
        )

    def to_state(self) -> dict[str, Any]:
        """The constants as plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`."""
        return cls(int(state["step"]), int(state["offset"]), int(state["decimals"]), bool(state["single"]))

    def __str__(self) -> str:
        return f"{self.width:.12g}"


def _scaled(units: Floats, decimals: int) -> Floats:
    """``units * 10**-decimals``, rounded once."""
    with np.errstate(over="ignore"):
        return units / 10.0**decimals if decimals >= 0 else units * 10.0**-decimals
