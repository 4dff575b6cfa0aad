"""The cells of a grid: pieces of the line that tile it, one for each number of the grid that is no point of mass."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from densiflow.table.columns.base import Floats, Scale
from densiflow.table.columns.grid import Grid


@final
@dataclass(frozen=True)
class Cells:
    """Where each cell begins and ends.

    The edge between two neighbours is half way between their numbers, also where points of mass lie between them, so
    that no part of the line belongs to no cell. The outermost cells between ``low`` and ``high`` reach to infinity,
    for which y = -40 and 40 stand.
    """

    grid: Grid
    scale: Scale
    points: tuple[float, ...]
    low: float
    high: float
    INFINITE: ClassVar[float] = 40.0
    FAR: ClassVar[float] = 39.0  # beyond this y a cell counts as having no mass

    @cached_property
    def taken(self) -> Floats:
        """The places of the grid that points take."""
        points = np.asarray(self.points, np.float64)
        return np.sort(self.grid.nearest(points[self.grid.holds(points)]))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The first and the last place of the grid that has a cell."""
        first, last = (
            float(self.grid.nearest(np.array([end]))[0]) if np.isfinite(end) else end
            for end in self.grid.ends(self.low, self.high)
        )
        if np.isfinite(first):
            first = float(self._next(np.array([first - 1.0]), 1)[0])
        if np.isfinite(last):
            last = float(self._next(np.array([last + 1.0]), -1)[0])
        return first, last

    def holds(self, index: Floats) -> NDArray[np.bool_]:
        """Which places have a cell."""
        first, last = self.ends
        return np.asarray((index >= first) & (index <= last) & ~np.isin(index, self.taken), bool)

    def of(self, index: Floats) -> Floats:
        """Y of the numbers at these places, and of the edges of their cells (n, 3)."""
        first, last = self.ends
        lower, upper = self._next(index, -1), self._next(index, 1)
        middle = self.scale.encode(self._inside(self.grid.value(index)))[0]
        below, above = (self._edge(index, place) for place in (lower, upper))
        below = np.where(lower < first, -self.INFINITE, below)
        above = np.where(upper > last, self.INFINITE, above)
        return np.stack([middle, below, above], axis=1)

    def within(self, seen: tuple[float, float] | None) -> tuple[float, float]:
        """The first and the last cell between two numbers, or the one after them where none is between."""
        first, last = self.ends
        if seen is None:
            return first, last
        least, greatest = (float(place) for place in self.grid.nearest(np.asarray(seen)))
        lowest = max(first, float(self._next(np.array([least - 1.0]), 1)[0]))
        highest = min(last, float(self._next(np.array([greatest + 1.0]), -1)[0]))
        if lowest <= highest:
            return lowest, highest
        after, before = (float(self._next(np.array([end]), step)[0]) for end, step in ((greatest, 1), (least, -1)))
        return (after, after) if after <= last else (before, before)

    def between(self, seen: tuple[float, float]) -> Floats:
        """Every cell between two numbers, rising (cells, 3), as `of` gives them."""
        first, last = self.within(seen)
        index = np.arange(first, last + 1)
        return self.of(index[~np.isin(index, self.taken)])

    def _edge(self, index: Floats, neighbour: Floats) -> Floats:
        """Y half way between two places."""
        between = (self.grid.value(index) + self.grid.value(neighbour)) / 2
        return self.scale.encode(self._inside(between))[0]

    def _inside(self, values: Floats) -> Floats:
        bottom, top = self.scale.support()
        return np.clip(values, np.nextafter(bottom, np.inf), np.nextafter(top, -np.inf))

    def _next(self, index: Floats, step: int) -> Floats:
        """The next places up (1) or down (-1) that no point takes."""
        found = index + step
        for _ in range(len(self.taken)):
            is_taken = np.isin(found, self.taken)
            if not is_taken.any():
                break
            found = np.where(is_taken, found + step, found)
        return found
