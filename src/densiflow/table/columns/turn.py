"""A circle cut open, so that a column of angles or hours lies on a line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats
from densiflow.table.columns.grid import Grid


@final
@dataclass(frozen=True)
class Turn:
    r"""Numbers from ``start`` to below ``start + period`` <-> from ``cut`` to below ``cut + period``.

    .. math:: \text{opened} = \mathrm{value} + \text{period} \cdot [\mathrm{value} < \text{cut}]

    The cut is where the data are fewest, so that what is near on the circle stays near on the line.

    >>> turn = Turn(start=0.0, period=24.0, cut=4.0)
    >>> turn.opened(np.array([3.0, 5.0, 23.0]), None)
    array([27.,  5., 23.])
    >>> turn.closed(np.array([27.0, 5.0, 23.0]), None)
    array([ 3.,  5., 23.])
    """

    start: float
    period: float
    cut: float

    def __post_init__(self) -> None:
        if not (self.period > 0 and self.start <= self.cut < self.start + self.period):
            raise ArgumentError(
                f"a circle needs a period above 0 and a cut within it, got {self.period}, from {self.start}, cut at "
                f"{self.cut}"
            )

    def opened(self, values: Floats, grid: Grid | None) -> Floats:
        """Numbers of the circle on the line; on the grid exactly, where there is one."""
        return self._moved(values, np.where(values < self.cut, self.period, 0.0), grid)

    def closed(self, values: Floats, grid: Grid | None) -> Floats:
        """Numbers of the line on the circle."""
        return self._moved(values, np.where(values >= self.start + self.period, -self.period, 0.0), grid)

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Which numbers lie on the circle."""
        return np.asarray((values >= self.start) & (values < self.start + self.period), bool)

    def _moved(self, values: Floats, by: Floats, grid: Grid | None) -> Floats:
        moved = values + by
        if grid is None:
            return moved
        on_grid = grid.holds(values)
        steps = np.rint(by / grid.width)
        return np.where(on_grid, grid.value(np.where(on_grid, grid.nearest(values), 0.0) + steps), moved)

    def to_state(self) -> dict[str, Any]:
        """The constants as plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`."""
        return cls(float(state["start"]), float(state["period"]), float(state["cut"]))
