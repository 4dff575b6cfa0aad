"""The cells of a grid: pieces of the line that tile it, one for each number of the grid that is no point of mass."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from densiflow.table.columns.base import Floats, Scale
from densiflow.table.columns.grid import Grid

MOST_LISTED = 100_000  # cells that are looked at one by one


@final
@dataclass(frozen=True)
class Cells:
    """Where each cell begins and ends.

    The edge between two neighbours is half way between their numbers, also where points of mass lie between them, so
    that no part of the line belongs to no cell. The outermost cells between ``low`` and ``high`` reach to infinity,
    for which y = -40 and 40 stand, or what is farther out than their number.

    A cell that is narrow in y has the density at its number times its width: the difference of its edges would be lost
    in the rounding of float32. Its edges are both its number then, and its log_volume is the logarithm of the width.
    """

    grid: Grid
    scale: Scale
    points: tuple[float, ...]
    low: float
    high: float
    INFINITE: ClassVar[float] = 40.0
    NARROW: ClassVar[float] = 1e-3  # in y
    RESOLVED: ClassVar[float] = 1e-7  # below, the slope tells a width better than the difference of two edges

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

    def of(self, index: Floats) -> tuple[Floats, Floats]:
        """Y of the numbers at these places and of the edges of their cells (n, 3), and their log_volume (n,)."""
        number = self.grid.value(index)
        middle, log_slope = self.scale.encode(self._inside(number))
        edges, units = self._edges(index, middle)
        width = edges[:, 1] - edges[:, 0]
        # where numbers are so large that none is half way
        is_rounded = (np.spacing(np.abs(number)) > units / 2) & (width < self.INFINITE)
        is_narrow = (width < self.NARROW) | is_rounded
        by_slope = (width < self.RESOLVED) | is_rounded
        log_width = np.where(by_slope, log_slope + np.log(units), np.log(np.where(by_slope, 1.0, width)))
        edges = np.where(is_narrow[:, None], middle[:, None], edges)
        return np.column_stack([middle, edges]), np.where(is_narrow, log_width, 0.0)

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

    def nearest(self, values: Floats) -> Floats:
        """The places (n,) whose cells these numbers fall into, inside the ends."""
        index = np.clip(self.grid.nearest(values), -self.grid.last, self.grid.last)
        is_taken = np.isin(index, self.taken)
        lower, upper = self._next(index[is_taken], -1), self._next(index[is_taken], 1)
        half_way = (self.grid.value(lower) + self.grid.value(upper)) / 2
        index[is_taken] = np.where(values[is_taken] < half_way, lower, upper)
        return np.clip(index, *self.ends)

    def between(self, seen: tuple[float, float]) -> Floats:
        """What lies between two numbers, rising (rows, 3): cells as `of` gives them, and stretches of narrow ones.

        A stretch has its lower edge for a middle.
        """
        ends = np.array(self.within(seen))
        x, _ = self.of(self._wide(*ends))
        cells = x[x[:, 1] < x[:, 2]]
        (bottom, _), (_, top) = self._edges(ends, self.scale.encode(self._inside(self.grid.value(ends)))[0])[0]
        between = np.concatenate([[bottom], cells[:, 1:].ravel(), [top]]).reshape(-1, 2)
        stretches = between[between[:, 0] < between[:, 1]]
        rows = np.concatenate([cells, stretches[:, [0, 0, 1]]])
        return rows[np.argsort(rows[:, 1])]

    def _wide(self, first: float, last: float) -> Floats:
        """Rising places from one to another that have a cell, those whose cells are not narrow among them."""
        if last - first < MOST_LISTED:
            places = np.arange(first, last + 1)
            return places[~np.isin(places, self.taken)]
        ends = self._inside(self.grid.value(np.array([first, last])))
        bottom, top = np.clip(self.scale.encode(ends)[0], -self.INFINITE, self.INFINITE)
        nodes = np.arange(bottom, top, 0.9 * self.NARROW)  # one in each wide cell
        return np.unique([first, *self.nearest(np.clip(self.scale.decode(nodes), *ends)), last])

    def _edges(self, index: Floats, middle: Floats) -> tuple[Floats, Floats]:
        """Y of the edges of cells (n, 2), and how many units of the column are between them (n,)."""
        first, last = self.ends
        lower, upper = self._next(index, -1), self._next(index, 1)
        number, before, after = (self.grid.value(place) for place in (index, lower, upper))
        below, above = (self.scale.encode(self._inside((number + beside) / 2))[0] for beside in (before, after))
        is_first, is_last = lower < first, upper > last
        below = np.where(is_first, np.minimum(-self.INFINITE, middle - 1), below)
        above = np.where(is_last, np.maximum(self.INFINITE, middle + 1), above)
        width = (upper - lower) / 2 * self.grid.width
        return np.stack([below, above], axis=1), width

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
