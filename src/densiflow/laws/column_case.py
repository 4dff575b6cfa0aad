"""A column under trial: cells that it holds, cells that it can't hold, and what it makes of them.

They are found from the column's parts (points, scale, grid, ends, circle), not from what `encode` and `decode` say.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from densiflow.laws.trial import Numbers
from densiflow.table.columns import Column

SPREAD = np.linspace(-4.5, 4.5, 401)  # y of the numbers tried
FAR = np.array([-1e6, -1e4, -700.0, -40.0, -9.0, 0.0, 9.0, 40.0, 700.0, 1e4, 1e6])
FINE = np.linspace(-4.5, 4.5, 10_001)  # so near to each other that every cell that is not narrow has one
WITHIN = np.array([0.01, 0.5, 0.99])  # where draws lie in a stretch of narrow cells
LARGEST = float(np.finfo(np.float64).max)
ODD = np.array([np.nan, np.inf, -np.inf, LARGEST, -LARGEST, 5e-324, -5e-324, 0.0, 0.5, 2.0**53, -(2.0**63)])


@dataclass(frozen=True)
class ColumnCase:
    """A column, and the cells to try it on."""

    thing: Column

    @cached_property
    def line(self) -> Numbers:
        """Numbers of the value (n,), rising; of a circle on the line it is opened to. None is a point of mass.

        Where there are cells, all numbers between two far ones are among these, but for those of narrow cells, of which
        there may be too many: here and there two that are side by side.
        """
        column = self.thing
        if not column.is_cell or column.grid is None:
            return self._no_points(self.numbers_at(SPREAD))
        place = column.grid.nearest(self.numbers_at(FINE))
        numbers = column.grid.value(np.unique([place, place + 1]))
        return self._no_points(numbers[(numbers >= column.low) & (numbers <= column.high)])

    @cached_property
    def steps(self) -> Numbers:
        """How many numbers of a grid there are from each of the line to the next (n - 1,), points not counted."""
        column = self.thing
        assert column.grid is not None
        points = np.asarray(column.points, np.float64)
        points = points if column.turn is None else column.turn.opened(points, column.grid)
        place, taken = (column.grid.nearest(of) for of in (self.line, points[column.grid.holds(points)]))
        return np.diff(place) - np.diff(np.searchsorted(np.sort(taken), place))

    @cached_property
    def numbers(self) -> Numbers:
        """The same numbers as a table has them."""
        return self.closed(self.line)

    @cached_property
    def cells(self) -> Numbers:
        """Cells that have mass (n,): the numbers, the points, the missing mark."""
        return np.concatenate([self.numbers, self.thing.points, [np.nan] * self.thing.is_missing])

    @cached_property
    def encoded(self) -> tuple[Numbers, Numbers]:
        """X (n, width) of the cells, and their log_volume (n,)."""
        return self.thing.encode(self.cells)

    @property
    def values(self) -> Numbers:
        """What x holds of the numbers: y (n, 1), or y and the edges of a cell (n, 3)."""
        return self.encoded[0][: len(self.line), int(self.thing.has_state) :]

    @property
    def volumes(self) -> Numbers:
        """The log_volume (n,) of the numbers."""
        return self.encoded[1][: len(self.line)]

    @cached_property
    def impossible(self) -> Numbers:
        """Cells that can have no mass (n,): infinite, beyond an end, beside a strict grid or the points."""
        column = self.thing
        found = [np.array([np.inf, -np.inf] + [np.nan] * (not column.is_missing))]
        if column.scale is None:
            points = np.asarray(column.points, np.float64)
            found += [points - 0.5, points + 0.5, points[-1:] + 1, points[:1] - 1]
        elif column.turn is not None:
            start, period = column.turn.start, column.turn.period
            found.append(np.array([np.nextafter(start, -np.inf), start - period, start + period, start + 2 * period]))
        else:
            found += [_beyond(end, away) for end, away in ((column.low, -np.inf), (column.high, np.inf))]
        if column.grid is not None and column.is_strict:
            beside = self.numbers + column.grid.width / 2
            found.append(beside[~column.grid.holds(beside)])
        cells = np.concatenate(found)
        return cells[~np.isin(cells, column.points)]

    @property
    def seen(self) -> tuple[float, float]:
        """Between which numbers draws lie: those seen, or the nearest of the grid; any where these are all points."""
        column = self.thing
        if column.seen is None or column.grid is None or not column.is_cell:
            return (-np.inf, np.inf) if column.seen is None else column.seen
        low, high = column.grid.rounded(np.asarray(column.seen))
        is_between = (self.line >= low) & (self.line <= high)
        return (float(low), float(high)) if is_between.any() else (column.low, column.high)

    def numbers_at(self, y: Numbers) -> Numbers:
        """The numbers at y (n,), each once, rising, on the grid and between the ends; on the line of a circle."""
        column = self.thing
        if column.scale is None:
            return np.empty(0)
        values = np.unique(np.clip(column.scale.decode(y), column.low, column.high))
        if column.grid is None:
            return values
        place = column.grid.nearest(np.clip(values, *column.grid.ends(column.low, column.high)))
        return column.grid.value(np.unique(place))

    def is_outermost(self, place: int) -> bool:
        """Whether only points lie between a number and the end on its side."""
        column = self.thing
        assert column.grid is not None
        end = column.grid.ends(column.low, column.high)[place]
        if not np.isfinite(end):
            return False
        first, last = np.sort(column.grid.nearest(np.array([end, self.line[place]])))
        beyond = self.closed(column.grid.value(np.arange(first, min(last + 1, first + len(column.points) + 2))))
        return int(np.sum(~np.isin(beyond, column.points))) == 1

    def closed(self, line: Numbers) -> Numbers:
        """Numbers of the line (n,) as a table has them."""
        return line if self.thing.turn is None else self.thing.turn.closed(line, self.thing.grid)

    def x_of(self, values: Numbers) -> Numbers:
        """X (n, width) of values: y (n, 1), which stands for the edges of a cell too, or all three (n, 3)."""
        x = np.zeros((len(values), self.thing.width))
        x[:, int(self.thing.has_state) :] = values
        return x

    @cached_property
    def drawn(self) -> Numbers:
        """X (n, width) that may be drawn: any y, or every cell between the numbers seen, and numbers of stretches."""
        if not self.thing.is_cell:
            return self.x_of(FAR[:, None])
        rows = self.thing.cells_seen
        is_stretch = rows[:, 0] == rows[:, 1]
        bottom, top = rows[is_stretch, 1:].T
        y = (bottom[:, None] + (top - bottom)[:, None] * WITHIN).ravel()
        return self.x_of(np.concatenate([rows[~is_stretch], np.repeat(y[:, None], 3, axis=1)]))

    def _no_points(self, line: Numbers) -> Numbers:
        return line[~np.isin(self.closed(line), self.thing.points)]


def _beyond(end: float, away: float) -> Numbers:
    """Numbers beyond an end, by as little as can be and by much; none where there is no end."""
    if np.isinf(end):
        return np.empty(0)
    far = np.sign(away) * np.array([1.0, 1e6]) * max(abs(end), 1.0)
    return np.array([np.nextafter(end, away), *(end + far)])
