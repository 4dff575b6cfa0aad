"""The grid and the points of mass that a column's numbers show."""

import math
from collections.abc import Sequence

import numpy as np

from densiflow.table.columns.base import Floats
from densiflow.table.columns.grid import EXACT, Grid

MOST_DECIMALS = 12
ROUNDINGS = 1000.0  # a step is at least so many roundings of the numbers' type
ON_GRID = 0.995  # the share of the rows that lies on a grid that is worth the name
FINE = 1e-5  # of the range: on a finer grid all numbers must lie
MOST_BESIDE = 8  # different numbers that may lie beside it
MULTIPLES = (2, 3, 5, 10, 15, 20, 25, 30, 50, 60, 100, 200, 250, 500, 600, 1000, 3600, 5000, 10_000, 86_400, 100_000)
FIRST_LOOK = 500

LEAST_SHARE = 0.005  # of the rows at a point of mass
LEAST_ROWS = 10
PROMINENCE = 4.0  # how often a point's share is that of the numbers beside it
NEIGHBOURS = 3  # on either side
MOST_POINTS = 32


def grid_of(values: Floats, share: Floats, *, single: bool = False, exact: bool = False) -> Grid | None:
    """The grid that all but a few of these different numbers, with their shares of the rows, lie on.

    None where they have more digits than could be told from those of any float. With ``exact`` they are known to be
    integers.

    >>> values = np.array([0.1, 0.2, 0.30, 0.5, 0.7])
    >>> grid_of(values, np.full(5, 0.2))
    Grid(step=1, offset=0, decimals=1, single=False)
    >>> grid_of(1000 * values + 5, np.full(5, 0.2))
    Grid(step=100, offset=5, decimals=0, single=False)
    """
    if len(values) < 2:
        return None
    decimals = 0 if exact else _decimals(values, share, single)
    if decimals is None:
        return None
    plain = Grid(1, 0, decimals, single)
    on_grid = plain.holds(values)
    if not on_grid.any():  # integers too large for float64 to tell from their neighbours
        return None
    units = plain.nearest(values[on_grid])
    step, offset = _step(units, share[on_grid], int((~on_grid).sum()))
    grid = Grid(step, offset, decimals, single)
    is_fine = grid.width < FINE * float(np.ptp(values))
    return None if is_fine and not grid.holds(values).all() else grid


def points_of(values: Floats, share: Floats, size: float) -> Floats:
    """Numbers that hold more of the rows than those beside them, and more than a few; in rising order.

    >>> values, share = np.arange(10.0), np.array([0.55] + [0.05] * 9)
    >>> points_of(values, share, 1000.0)
    array([0.])
    """
    least = max(LEAST_SHARE, LEAST_ROWS / size)
    found = []
    for j in np.flatnonzero(share >= least):
        beside = np.concatenate([share[max(j - NEIGHBOURS, 0) : j], share[j + 1 : j + 1 + NEIGHBOURS]])
        if len(beside) and share[j] >= PROMINENCE * np.median(beside):
            found.append(j)
    largest = sorted(found, key=lambda j: -share[j])[:MOST_POINTS]
    return values[np.sort(np.array(largest, np.int64))]


def grid_of_step(step: float, values: Floats, *, single: bool = False) -> Grid:
    """The grid of a step that the user says, through the number that most of these lie nearest to.

    >>> grid_of_step(0.25, np.array([0.25, 1.0]))
    Grid(step=25, offset=0, decimals=2, single=False)
    """
    text = f"{step:.15g}"
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    decimals = len(fraction) - int(exponent or 0)
    units = int(whole + fraction)
    if decimals < 0:
        units, decimals = units * 10**-decimals, 0
    near = np.rint(values * 10.0**decimals) % units if len(values) else np.zeros(1)
    offsets, counts = np.unique(near, return_counts=True)
    return Grid(units, int(offsets[np.argmax(counts)]), decimals, single)


def _decimals(values: Floats, share: Floats, single: bool) -> int | None:
    """The fewest decimals that nearly all numbers have."""
    typical = float(np.median(np.abs(values))) or float(np.abs(values).max())
    rounding = float(np.finfo(np.float32 if single else np.float64).eps) * typical
    first = slice(None, None, max(len(values) // FIRST_LOOK, 1))
    for decimals in range(MOST_DECIMALS + 1):
        if 10.0**-decimals < ROUNDINGS * rounding:
            return None
        grid = Grid(1, 0, decimals, single)
        if grid.holds(values[first]).mean() > 0.9 and _is_good(grid.holds(values), share):
            return decimals
    return None


def _is_good(on_grid: np.ndarray, share: Floats) -> bool:
    return bool((~on_grid).sum() <= MOST_BESIDE and share[on_grid].sum() >= ON_GRID * share.sum())


def _step(units: Floats, share: Floats, beside: int) -> tuple[int, int]:
    """The largest step, and where it begins, that nearly all of these different integers are in."""
    whole = units.astype(np.int64)
    base = int(np.gcd.reduce(whole - whole[0])) or 1
    best = base
    for multiple in _candidates(base, whole):
        residues, where, counts = np.unique(whole % multiple, return_inverse=True, return_counts=True)
        held = np.bincount(where, share, len(residues))
        most = int(np.argmax(held))
        is_better = len(whole) - counts[most] + beside <= MOST_BESIDE and held[most] >= ON_GRID * share.sum()
        if multiple > best and is_better and counts[most] > MOST_BESIDE:
            best = multiple
    residues, where = np.unique(whole % best, return_inverse=True)
    offset = int(residues[np.argmax(np.bincount(where, share, len(residues)))])
    return best, offset


def _candidates(base: int, whole: np.ndarray) -> Sequence[int]:
    """Multiples of the step, and the steps that most neighbours have in common, in case a few numbers lie beside."""
    gaps = np.diff(np.sort(whole))
    common = math.gcd(*(int(gap) for gap in gaps[: len(gaps) // 2])) if len(gaps) > 1 else 0
    upper = math.gcd(*(int(gap) for gap in gaps[len(gaps) // 2 :])) if len(gaps) > 1 else 0
    span = int(whole.max() - whole.min())
    found = {base * multiple for multiple in MULTIPLES} | {common, upper}
    return sorted(step for step in found if 0 < step <= max(span, 1) and step < EXACT)
