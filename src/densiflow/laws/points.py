"""Points to try a thing on: rows well inside a space, rows far out in it, and rows outside."""

import numpy as np
from numpy.typing import NDArray

from densiflow.laws.trial import Numbers
from densiflow.spaces import Space

Flags = NDArray[np.bool_]
FAR = 1e6  # how many times farther out


def rows_for(*widths: int) -> int:
    """How many rows to try: a number that is no width, so that no axis can be taken for another.

    >>> rows_for(2, 3), rows_for(31, 32)
    (31, 33)
    """
    count = 31
    while count in widths:
        count += 1
    return count


def inside(space: Space, rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Rows of a shape (..., dim) spread over the space."""
    u = 1.5 * rng.normal(size=shape)
    below, above, lower, upper = _borders(space, shape[-1])
    between = lower + (upper - lower) / (1 + np.exp(-u))
    half_bounded = np.where(below, lower + np.exp(u), np.where(above, upper - np.exp(u), u))
    return np.where(below & above, between, half_bounded)


def far(space: Space, x: Numbers) -> Numbers:
    """The same rows `FAR` times farther out; on a bounded axis, as much nearer to a border."""
    below, above, lower, upper = _borders(space, x.shape[-1])
    border = np.where(below, lower, upper)
    return np.where(below & above, lower + (x - lower) / FAR, border + FAR * (x - border))


def outside(space: Space, x: Numbers) -> Numbers:
    """Rows that have left the space in one number, by a little, by a lot or to infinity, on every side it has."""
    below, above, lower, upper = _borders(space, x.shape[1])
    step = np.where(below & above, upper - lower, 1.0)  # what is little on a wide axis is a lot on a narrow one
    rows = [np.full((1, x.shape[1]), np.inf)]
    for column in range(x.shape[1]):
        places = [-np.inf, np.inf]
        if below[column]:
            places += [lower[column] - size * step[column] for size in (0.01, FAR)]
        if above[column]:
            places += [upper[column] + size * step[column] for size in (0.01, FAR)]
        left = x[: len(places)].copy()
        left[:, column] = places
        rows.append(left)
    return np.concatenate(rows)


def _borders(space: Space, dim: int) -> tuple[Flags, Flags, Numbers, Numbers]:
    """Where there is a border below and above, and where it is: (dim,) each, 0 where there is none."""
    lower, upper = (np.broadcast_to(np.asarray(bound, np.float64), (dim,)) for bound in (space.lower, space.upper))
    below, above = np.isfinite(lower), np.isfinite(upper)
    return below, above, np.where(below, lower, 0.0), np.where(above, upper, 0.0)
