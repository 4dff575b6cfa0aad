"""The fitting of columns that have a value: points, grid, ends and scale, in that order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from densiflow.errors import TableError
from densiflow.table.columns import Column, Grid, Real, Scale, Skewed, Turn, Within
from densiflow.table.columns.base import Floats
from densiflow.table.columns.cells import Cells
from densiflow.table.gridded import grid_of, grid_of_step, points_of
from densiflow.table.sample import Sample
from densiflow.table.shape import is_far_from_normal

# the share of the rows whose cells are not narrow from which all count as cells; else a density, rounded to the grid.
# A density at every count sums to one only where nearly all cells are narrow
COARSE, COARSE_COUNTS = 0.5, 0.01
MOST_LEVELS = 64  # numbers that each get a state
ROWS_A_LEVEL = 50.0
FEWEST_TO_FIT = 10.0  # numbers, for a scale
RARE_ROWS, RARE_SHARE = 20.0, 0.001  # a number with fewer gets no state
WHOLE = "count"
ENDED = ("positive", "bounded", "periodic")  # kinds whose numbers lie between ends
MASSLESS = 8.0  # in y: beyond, no mass to speak of is lost
DAY = 86_400_000_000.0


@dataclass(frozen=True)
class Parts:
    """What a column's numbers are made of, before a scale is fitted."""

    points: Floats
    grid: Grid | None
    rest: Floats  # numbers that are no points
    weight: Floats
    heaps: Floats  # points that stand out among the numbers beside them, or are said
    is_listed: bool = False  # whether every number that is not rare has a state

    def is_closed(self, low: float, high: float) -> bool:
        """Whether there is nothing between two ends but points."""
        if not self.is_listed or len(self.rest) or self.grid is None:
            return self.is_listed and not len(self.rest)
        first, last = self.grid.ends(low, high)
        return np.isfinite(last - first) and round((last - first) / self.grid.width) + 1 == len(self.points)


def fit_value(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Column:
    """A column of numbers of any kind that has a scale."""
    if sample.family not in ("number", "boolean", "instant", "time of day", "duration"):
        raise TableError(f"{sample.label} holds labels, which can't be of the kind {kind!r}; give it 'category'")
    _check_inside(kind, sample, spec)
    if kind == "real" and not sample.looks and set(spec) == {"kind"}:
        return Column(kind, (), sample.is_missing, Real.fit(sample.values, sample.weight))
    parts = _parts(kind, sample, spec)
    low, high = _ends(kind, sample, parts, spec)
    if parts.is_closed(low, high):
        return Column(kind, tuple(parts.points.tolist()), sample.is_missing)
    rest, weight = parts.rest, parts.weight
    if max(float(len(rest)), float(weight.sum())) < FEWEST_TO_FIT:
        rest, weight = sample.values, sample.weight
    turn = None
    if kind == "periodic":
        turn = _turn(parts.grid, rest, weight, spec, sample.size)
        rest = turn.opened(rest, parts.grid)
        low, high = turn.cut, turn.cut + turn.period
        high = high - parts.grid.width if parts.grid is not None else float(np.nextafter(high, low))
    column = Column(
        kind,
        tuple(parts.points.tolist()),
        sample.is_missing,
        _scale(kind, sample, parts.grid, rest, weight, low, high, is_between=kind in ENDED),
        parts.grid,
        is_strict=kind == WHOLE,
        low=low,
        high=high,
        seen=_seen(kind, sample, turn, parts.grid, spec),
        turn=turn,
    )
    return _without_a_grid_that_is_not_kept(_ended(_with_cells(column, rest, weight), sample, rest, weight), sample)


def _check_inside(kind: str, sample: Sample, spec: Mapping[str, Any]) -> None:
    low, high = spec.get("low"), spec.get("high")
    if kind == "positive" and low is None:
        low = 0.0
    if kind == "periodic" and low is not None:
        high = np.nextafter(low + spec["period"], low)
    for end, is_beyond in ((low, np.less), (high, np.greater)):
        if end is not None and is_beyond(sample.values, end).any():
            outside = sample.values[is_beyond(sample.values, end)][0]
            ends = [f"{word} {end}" for word, end in (("at least", low), ("at most", high)) if end is not None]
            raise TableError(
                f"{sample.label} of the kind {kind!r} must be {' and '.join(ends)}, but holds {outside}; give it other "
                f"ends or another kind"
            )
    if kind == WHOLE and (sample.values != np.rint(sample.values)).any():
        beside = sample.values[sample.values != np.rint(sample.values)][0]
        raise TableError(f"{sample.label} of the kind 'count' must hold whole numbers, but holds {beside}")


def _parts(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Parts:
    """The numbers that are points of mass, and the grid of the others."""
    values, share = sample.distinct
    looks = sample.looks and kind != "real"
    given = np.asarray(sorted(set(spec.get("atoms") or ())), np.float64)
    points = points_of(values, share, sample.size) if looks and spec.get("atoms") is None else given
    if "step" in spec and spec["step"] is not None:
        grid = grid_of_step(spec["step"], values, single=sample.is_single) if spec["step"] > 0 else None
    elif kind == WHOLE:
        grid = Grid(1)
    else:
        is_rest = ~np.isin(values, points)
        grid = _found_grid(values[is_rest], share[is_rest], sample) if looks else None
    if kind == "periodic" and grid is not None and spec["period"] % grid.width:
        grid = None  # the steps do not meet where the circle closes
    if grid is None and kind != "periodic":  # a density has none at its ends
        low = 0.0 if kind == "positive" and spec.get("low") is None else spec.get("low")
        at_ends = np.isin(values, [end for end in (low, spec.get("high")) if end is not None])
        points = np.union1d(points, values[at_ends])
    heaps = points
    is_listed = spec.get("atoms") is None and kind in (WHOLE, "rounded", "bounded", "positive") and looks
    is_listed = is_listed and len(values) <= MOST_LEVELS and sample.size >= ROWS_A_LEVEL * len(values)
    if is_listed:
        points = values[share >= max(RARE_SHARE, RARE_ROWS / sample.size)]
    elif grid is not None and looks and kind not in ("date", WHOLE):
        beside = values[~grid.holds(values)]  # a few numbers beside the grid are points of their own
        heaps = points = np.union1d(points, beside) if len(beside) <= 2 * len(points) + 8 else points
    is_rest = ~np.isin(sample.values, points)
    return Parts(points, grid, sample.values[is_rest], sample.weight[is_rest], heaps, is_listed)


def _found_grid(values: Floats, share: Floats, sample: Sample) -> Grid | None:
    return grid_of(values, share, single=sample.is_single, exact=sample.is_exact)


def _ends(kind: str, sample: Sample, parts: Parts, spec: Mapping[str, Any]) -> tuple[float, float]:
    """Beyond which numbers there is no mass: said, or natural, or where the numbers pile up."""
    least, greatest = float(sample.values.min()), float(sample.values.max())
    low, high = spec.get("low"), spec.get("high")
    looks = sample.looks and kind != "real"
    if low is None and (kind == "positive" or (kind == WHOLE and least >= 0)):
        low = 0.0
    if looks and kind not in ("date", "periodic"):
        # numbers that end in a heap end there
        low = least if spec.get("low") is None and _is_heap(least, sample, parts) else low
        high = greatest if high is None and _is_heap(greatest, sample, parts) else high
    if kind == "bounded":
        margin = _margin(sample, parts)
        low = least - margin if low is None else low
        high = greatest + margin if high is None else high
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


def _is_heap(number: float, sample: Sample, parts: Parts) -> bool:
    """Whether the number is a heap of more than a few rows."""
    values, share = sample.distinct
    held = float(share[np.searchsorted(values, number)])
    return number in parts.heaps and held >= max(RARE_SHARE, RARE_ROWS / sample.size)


def _margin(sample: Sample, parts: Parts) -> float:
    """How far beyond the numbers seen ends that are found are set: about the gap to be expected there."""
    if parts.grid is not None:
        return 0.0
    return float(np.ptp(sample.values)) * min(4.0 / sample.size, 0.1) or 1.0


def _scale(
    kind: str,
    sample: Sample,
    grid: Grid | None,
    values: Floats,
    weight: Floats,
    low: float,
    high: float,
    *,
    is_between: bool,
) -> Scale:
    """A scale on which the numbers are near a standard normal's; with ``is_between`` it ends where the column does."""
    beyond = 0.0 if grid is None else grid.width / 2  # the outermost cells reach half a step beyond their numbers
    bottom, top = low - beyond, high + beyond
    scale: Scale = Real.fit(values, weight)
    looks = sample.looks and kind != "real"
    if is_between or (looks and np.isfinite(low) and is_far_from_normal(scale, values, weight)):
        top = top if is_between else np.inf
        inside = np.clip(values, np.nextafter(bottom, np.inf), np.nextafter(top, -np.inf))
        if is_between or np.ptp(inside) > 0:
            scale = Within.fit(inside, weight, bottom, top)
            values = inside
    if kind == "skewed" or (looks and is_far_from_normal(scale, values, weight)):
        return Skewed.fit(values, weight, scale)
    return scale


def _seen(
    kind: str, sample: Sample, turn: Turn | None, grid: Grid | None, spec: Mapping[str, Any]
) -> tuple[float, float] | None:
    """Between which numbers samples stay, where the column is more than real."""
    if kind == "real" and grid is None:
        return None
    values = sample.values if turn is None else turn.opened(sample.values, grid)
    return float(values.min()), float(values.max())


def _turn(grid: Grid | None, values: Floats, weight: Floats, spec: Mapping[str, Any], size: float) -> Turn:
    """Cut the circle in the middle of its widest gap, or of the emptiest of many equal parts."""
    period = float(spec["period"])
    start = spec.get("low")
    if start is None:
        start = -period / 2 if values.min() < 0 and values.max() < period / 2 else 0.0
    inside = (values >= start) & (values < start + period)
    if not inside.all():
        outside = values[~inside][0]
        raise TableError(f"a periodic column must lie from {start} to below {start + period}, but holds {outside}")
    parts = int(min(max(size // 50, 4), 48))
    counts = np.histogram(values, parts, (start, start + period), weights=weight)[0]
    cut = float(start + period * (int(np.argmin(counts)) + 0.5) / parts)
    if grid is not None:
        cut = float(grid.value(grid.nearest(np.array([cut])))[0])
        cut = cut if start <= cut < start + period else float(start)
    return Turn(float(start), period, cut)


def _with_cells(column: Column, values: Floats, weight: Floats) -> Column:
    """The column with cells where the grid is coarse."""
    if column.grid is None or column.scale is None:
        return column
    half = np.full(len(values), column.grid.width / 2)
    bottom, top = column.scale.support()
    edges = [np.clip(values + d, np.nextafter(bottom, np.inf), np.nextafter(top, -np.inf)) for d in (-half, half)]
    width = column.scale.encode(edges[1])[0] - column.scale.encode(edges[0])[0]
    share = float(weight[width > Cells.NARROW].sum()) / float(weight.sum())
    return replace(column, is_cell=share > (COARSE_COUNTS if column.is_strict else COARSE))


def _ended(column: Column, sample: Sample, values: Floats, weight: Floats) -> Column:
    """A density ends where its column does, so that none of it is lost; the outermost cells hold what is beyond."""
    if column.is_cell or column.scale is None:
        return column
    bottom, top = column.scale.support()
    ends = np.array([end for end in (column.low, column.high) if bottom < end < top])
    if not (np.abs(column.scale.encode(ends)[0]) < MASSLESS).any():
        return column
    scale = _scale(column.kind, sample, column.grid, values, weight, column.low, column.high, is_between=True)
    return replace(column, scale=scale)


def _without_a_grid_that_is_not_kept(column: Column, sample: Sample) -> Column:
    """The column without its grid where some number would be impossible, or one on it would come back as another."""
    if column.grid is None:
        return column
    x, log_volume = column.encode(sample.values)
    on_grid = column.grid.holds(sample.values) | np.isin(sample.values, column.points)
    kept = np.isfinite(log_volume) & ((column.decode(x) == sample.values) | ~on_grid)
    return column if kept.all() else replace(column, grid=None, is_cell=False, is_strict=False)
