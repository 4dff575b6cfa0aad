"""One fitted column: points of mass, a missing mark, a value with its scale and grid, or some of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError
from densiflow.table.columns.base import Floats, Scale
from densiflow.table.columns.cells import Cells
from densiflow.table.columns.grid import Grid
from densiflow.table.columns.real import Real
from densiflow.table.columns.scales import scale_from_state, scale_to_state
from densiflow.table.columns.turn import Turn

IMPOSSIBLE = -1.0  # the state of a cell that has no mass
KIND_OF_OLD_FILES = "real"


@final
@dataclass(frozen=True)
class Column:
    r"""Cells to a state and a value, as far as the column has them.

    .. math:: \log p(\text{cell}) = \log P(\text{state}) + \log p(y \mid \text{state} = 0) + \text{log\_volume}

    State 0 is a value, where there is a ``scale``; then come the ``points``, single numbers that have mass; last, with
    ``is_missing``, the missing mark. A column with a single state has no state variable. A value between ``low`` and
    ``high`` is y on its scale, and then log_volume is the scale's; with ``is_cell`` it is the cell of its ``grid``
    (y, and the edges of the cell), which has mass, and then log_volume is 0. Cells tile the line without the points;
    a narrow one is y three times, and log_volume is the logarithm of its width in y. What is nothing of all that is
    impossible: state -1, log_volume -inf.

    ``seen`` are the least and the greatest number seen: draws keep within them. With ``is_strict`` numbers beside the
    grid are impossible; else they count as the nearest on it. A column with a ``turn`` is a circle: low, high and
    seen are on the line it is opened to.

    Shapes: ``values, log_volume`` (n,), ``x`` (n, width), float64.

    >>> column = Column("positive", points=(0.0,), is_missing=True, scale=Real(5.0, 2.0))
    >>> x, log_volume = column.encode(np.array([5.0, 0.0, np.nan]))
    >>> x.tolist(), log_volume.round(4).tolist()
    ([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], [-0.6931, 0.0, 0.0])
    >>> column.decode(x)
    array([ 5.,  0., nan])
    """

    kind: str
    points: tuple[float, ...] = ()
    is_missing: bool = False
    scale: Scale | None = None
    grid: Grid | None = None
    is_cell: bool = False
    is_strict: bool = False
    low: float = -np.inf
    high: float = np.inf
    seen: tuple[float, float] | None = None
    turn: Turn | None = None

    def __post_init__(self) -> None:
        rises = all(a < b for a, b in zip(self.points, self.points[1:], strict=False))
        if not rises or not np.isfinite(self.points).all():
            raise ArgumentError(f"a column's points must be finite numbers in rising order, got {self.points}")
        if not self.low < self.high and self.scale is not None:
            raise ArgumentError(f"a column's low end must be below its high end, got {self.low} and {self.high}")
        if self.is_cell and (self.grid is None or self.scale is None or self.seen is None):
            raise ArgumentError("a column of cells needs a scale, a grid and the numbers seen")

    @property
    def states(self) -> int:
        """How many states there are, the value's included."""
        return (self.scale is not None) + len(self.points) + self.is_missing

    @property
    def has_state(self) -> bool:
        """Whether there is anything to choose."""
        return self.states > 1

    @property
    def width(self) -> int:
        """Columns of x."""
        return self.has_state + (0 if self.scale is None else 3 if self.is_cell else 1)

    def encode(self, values: Floats) -> tuple[Floats, Floats]:
        """Cells (n,) to ``(x, log_volume)``."""
        values = self._counted(values)
        state = self._state(values)
        log_volume = np.where(state == IMPOSSIBLE, -np.inf, 0.0)
        x = np.zeros((len(values), self.width))
        if self.scale is not None:
            present = np.flatnonzero(state == 0)
            value, volume = self._value(values[present])
            x[present, int(self.has_state) :] = value
            log_volume[present] = volume
            state[present] = np.where(volume == -np.inf, IMPOSSIBLE, 0.0)
        if self.has_state:
            x[:, 0] = state
        return x, log_volume

    def decode(self, x: Floats, *, drawn: bool = False) -> Floats:
        """X (n, width) to cells (n,): on the grid, between low and high; NaN for a missing or an impossible one.

        With ``drawn`` also between the numbers seen.
        """
        if not self.has_state:
            return self._numbers(x[:, 0], drawn) if self.scale is not None else np.full(len(x), self._labels[0])
        state = np.rint(x[:, 0]).astype(np.int64)
        values = self._labels[np.where((state < 0) | (state >= self.states), len(self._labels) - 1, state)]
        if self.scale is not None:
            present = state == 0
            values[present] = self._numbers(x[present, 1], drawn)
        return values

    def is_beyond_seen(self, x: Floats) -> NDArray[np.bool_]:
        """Which x (n, width) are a value whose number, on a grid the nearest there, is not between those seen."""
        if self.scale is None or self.seen is None:
            return np.zeros(len(x), bool)
        line = self._on_line(x[:, int(self.has_state)], self._ends)
        low, high = self._ends_of_draws
        present = x[:, 0] == 0 if self.has_state else np.ones(len(x), bool)
        return np.asarray(present & ((line < low) | (line > high)), bool)

    @property
    def cells_seen(self) -> Floats:
        """What draws fall into, rising: y of the number and of the edges of every cell between the numbers seen.

        Of narrow cells, stretches (lower edge, lower edge, upper edge); (rows, 3).
        """
        assert self.is_cell
        assert self.seen is not None
        return self._cells.between(self.seen)

    # parts

    def _counted(self, values: Floats) -> Floats:
        """Numbers beside a grid of cells as the nearest on it, which may be a point, unless they are impossible."""
        if not self.is_cell or self.is_strict or self.grid is None:
            return values
        line = values if self.turn is None else self.turn.opened(values, self.grid)
        beside = (line > self.low) & (line < self.high) & ~np.isin(values, self.points)
        beside &= True if self.turn is None else self.turn.holds(values)
        nearest = np.clip(self.grid.rounded(np.where(beside, line, 0.0)), *self._ends)
        return np.where(beside, nearest if self.turn is None else self.turn.closed(nearest, self.grid), values)

    def _state(self, values: Floats) -> Floats:
        """0 for a value, 1, 2, ... for the points, then missing; without a scale they begin at 0."""
        first = int(self.scale is not None)
        possible = 0.0 if self.scale is not None else IMPOSSIBLE
        state = np.full(len(values), possible)
        if self.points:
            points = np.asarray(self.points)
            place = np.minimum(np.searchsorted(points, values), len(points) - 1)
            state = np.where(points[place] == values, place + first, state)
        return np.where(np.isnan(values), self.states - 1 if self.is_missing else IMPOSSIBLE, state).astype(np.float64)

    def _value(self, values: Floats) -> tuple[Floats, Floats]:
        """X of values that are no points, and their log_volume; -inf for what has no mass."""
        assert self.scale is not None
        bottom, top = self.scale.support()
        on_circle = np.ones(len(values), bool) if self.turn is None else self.turn.holds(values)
        values = values if self.turn is None else self.turn.opened(values, self.grid)
        possible = on_circle & np.isfinite(values) & (values >= self.low) & (values <= self.high)
        if self.grid is not None and self.is_strict:
            possible &= self.grid.holds(values)
        inside = np.clip(values, np.nextafter(bottom, np.inf), np.nextafter(top, -np.inf))
        if not self.is_cell:
            # at the end of a scale there is no density; where a circle is cut it has no end
            possible &= (values == inside) | (self.turn is not None)
            y, volume = self.scale.encode(inside)
            return y[:, None], np.where(possible, volume, -np.inf)
        assert self.grid is not None
        index = self.grid.nearest(inside)
        possible &= self._cells.holds(index) & (np.abs(index) <= self.grid.last)
        x, volume = self._cells.of(np.clip(index, -self.grid.last, self.grid.last))
        return np.where(possible[:, None], x, 0.0), np.where(possible, volume, -np.inf)

    def _numbers(self, y: Floats, drawn: bool) -> Floats:
        """The numbers at y, on the grid and between the ends."""
        line = self._on_line(y, self._ends_of_draws if drawn else self._ends)
        return line if self.turn is None else self.turn.closed(line, self.grid)

    def _on_line(self, y: Floats, ends: tuple[float, float]) -> Floats:
        """The same, those of a circle where it is opened."""
        assert self.scale is not None
        values = np.clip(self.scale.decode(y), *ends)
        if self.grid is None:
            return values
        nearest = self.grid.value(self._cells.nearest(values)) if self.is_cell else self.grid.rounded(values)
        return np.clip(nearest, *ends)

    @cached_property
    def _labels(self) -> Floats:
        """The number of each state: NaN for a value's, for missing and, last, for what is impossible."""
        first = [np.nan] if self.scale is not None else []
        return np.array([*first, *self.points, *[np.nan] * self.is_missing, np.nan])

    @cached_property
    def _cells(self) -> Cells:
        assert self.grid is not None
        assert self.scale is not None
        points = np.asarray(self.points, np.float64)
        points = points if self.turn is None else self.turn.opened(points, self.grid)
        return Cells(self.grid, self.scale, tuple(points.tolist()), self.low, self.high)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The outermost numbers that have a density, or those of the grid, between low and high."""
        assert self.scale is not None
        if self.grid is not None:
            return self.grid.ends(self.low, self.high)
        bottom, top = self.scale.support()
        return max(self.low, float(np.nextafter(bottom, np.inf))), min(self.high, float(np.nextafter(top, -np.inf)))

    @cached_property
    def _ends_of_draws(self) -> tuple[float, float]:
        """The same between the numbers seen, or the next cell beyond them where these are all points."""
        low, high = self._ends
        if self.seen is None:
            return low, high
        if self.is_cell and self.grid is not None:
            first, last = self.grid.value(np.array(self._cells.within(self.seen)))
            return float(first), float(last)
        least, greatest = self.seen if self.grid is None else self.grid.ends(*self.seen)
        return max(low, least), min(high, greatest)

    # the model file

    def to_state(self) -> dict[str, Any]:
        """The constants as plain values that JSON can hold; infinite ends are None."""
        return {
            "points": list(self.points),
            "is_missing": self.is_missing,
            "scale": None if self.scale is None else scale_to_state(self.scale),
            "grid": None if self.grid is None else self.grid.to_state(),
            "is_cell": self.is_cell,
            "is_strict": self.is_strict,
            "low": float(self.low) if np.isfinite(self.low) else None,
            "high": float(self.high) if np.isfinite(self.high) else None,
            "seen": None if self.seen is None else list(self.seen),
            "turn": None if self.turn is None else self.turn.to_state(),
        }

    @classmethod
    def from_state(cls, kind: str, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`; the state of an earlier version's file is that of its scale."""
        if kind == KIND_OF_OLD_FILES and "shift" in state:
            return cls(kind, scale=Real.from_state(state))
        return cls(
            kind,
            tuple(float(point) for point in state["points"]),
            bool(state["is_missing"]),
            None if state["scale"] is None else scale_from_state(state["scale"]),
            None if state["grid"] is None else Grid.from_state(state["grid"]),
            bool(state["is_cell"]),
            bool(state["is_strict"]),
            -np.inf if state["low"] is None else float(state["low"]),
            np.inf if state["high"] is None else float(state["high"]),
            None if state["seen"] is None else (float(state["seen"][0]), float(state["seen"][1])),
            None if state["turn"] is None else Turn.from_state(state["turn"]),
        )
