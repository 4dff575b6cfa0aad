"""Which part of a picture holds how much of a density."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError

Floats = NDArray[Any]


def density_levels(density: Floats, masses: Sequence[float]) -> Floats:
    r"""Find the heights at which the highest-density regions of a gridded density hold the given masses.

    .. math:: t_m = \max \left\{ t : \sum_{g:\, p_g \ge t} p_g \ge m \sum_g p_g \right\}

    Shapes: ``density`` of any shape, on cells of equal size and of any total, since masses are shares of what the
    grid holds; ``masses`` (k,), each in (0, 1); returns (k,), strictly rising whatever the order of the masses.
    Raises `ArgumentError` for a density that is zero on the whole grid.

    Source: Hyndman 1996, "Computing and graphing highest density regions".

    >>> density_levels(np.array([0.1, 0.2, 0.3, 0.4]), masses=(0.9, 0.4)).tolist()
    [0.2, 0.4]
    """
    ordered = np.sort(np.ravel(density))[::-1]
    held = np.cumsum(ordered)
    if not held[-1] > 0:
        raise ArgumentError("the density is zero on the whole grid: choose limits that hold some of it")
    place = np.searchsorted(held, np.asarray(masses) * held[-1] * (1 - 1e-12))
    levels = np.sort(ordered[place])
    for k in range(1, len(levels)):
        levels[k] = max(levels[k], np.nextafter(levels[k - 1], np.inf))  # a plateau gives equal heights
    return levels


def plot_limits(values: Floats, mass: float = 0.99, margin: float = 0.08) -> tuple[float, float]:
    """Axis limits that hold the central `mass` of values (n,), with a margin; far outliers do not stretch them.

    >>> low, high = plot_limits(np.array([*np.linspace(0.0, 1.0, 999), 1e6]))
    >>> -0.1 < low < 0.0 and 1.0 < high < 1.1
    True
    """
    low, high = np.quantile(values, [(1 - mass) / 2, (1 + mass) / 2])
    width = margin * (high - low) or margin * max(1.0, abs(low))  # a column of one value still gets an axis
    return float(low - width), float(high + width)


def smoothed_histogram(rows: Floats, edges: Sequence[Floats], blur: float = 1.5) -> Floats:
    """Count rows (n, 2) in the cells between `edges` (a + 1,) and (b + 1,): (a, b), blurred by `blur` cells."""
    from scipy.ndimage import gaussian_filter

    counts, _, _ = np.histogram2d(rows[:, 0], rows[:, 1], bins=list(edges))
    blurred: Floats = gaussian_filter(counts, blur, mode="constant")
    return blurred
