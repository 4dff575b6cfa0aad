"""Points to try a thing on: rows well inside a space, rows far out in it, and rows outside."""

import numpy as np

from densiflow.laws.trial import Numbers
from densiflow.spaces import Space

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
    """Numbers spread over the space."""
    u = 1.5 * rng.normal(size=shape)
    if np.isfinite(space.lower) and np.isfinite(space.upper):
        return space.lower + (space.upper - space.lower) / (1 + np.exp(-u))
    if np.isfinite(space.lower):
        return space.lower + np.exp(u)
    return space.upper - np.exp(u) if np.isfinite(space.upper) else u


def far(space: Space, x: Numbers) -> Numbers:
    """The same rows `FAR` times farther out; in a bounded space, as much nearer to a border."""
    if np.isfinite(space.lower) and np.isfinite(space.upper):
        return space.lower + (x - space.lower) / FAR
    border = space.lower if np.isfinite(space.lower) else space.upper if np.isfinite(space.upper) else 0.0
    return border + FAR * (x - border)


def outside(space: Space, x: Numbers) -> Numbers:
    """Rows that have left the space in one number, by a little, by a lot or to infinity, on every side it has."""
    places = [-np.inf, np.inf]
    for border, sign in ((space.lower, -1.0), (space.upper, 1.0)):
        if np.isfinite(border):
            places += [border + sign * 0.01, border + sign * FAR]
    rows = np.repeat(x[: len(places)], x.shape[1], axis=0)
    columns = np.tile(np.arange(x.shape[1]), len(places))
    rows[np.arange(len(rows)), columns] = np.repeat(places, x.shape[1])
    return np.concatenate([rows, np.full((1, x.shape[1]), np.inf)])
