"""Calibration: is what the model says of each column, given the earlier ones, as often right as it claims?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ShapeError

Floats = NDArray[Any]

POINTS = 50  # where the distribution functions are compared
DRAWS = 4000
LEVEL = 0.95
NOMINAL = (0.5, 0.68, 0.8, 0.9, 0.95, 0.99)


@final
@dataclass(frozen=True)
class Calibration:
    """The probability integral transforms of held-out rows beside what uniform numbers do.

    ``grid`` (k,) are the probabilities compared at, ``share`` (columns, k) the shares of rows at or below each,
    ``lower`` and ``upper`` (k,) the band that holds the whole line of a right model in 95 % of cases, ``distance``
    (columns,) the largest difference of share and grid, ``p_value`` (columns,) the chance of leaving the middle as
    far as each line does, were the model right.
    """

    names: tuple[str, ...]
    rows: int
    grid: Floats
    share: Floats
    lower: Floats
    upper: Floats
    distance: Floats
    p_value: Floats

    @property
    def worst(self) -> int:
        """The column with the smallest p-value, the larger distance among equal ones."""
        return int(np.lexsort((-self.distance, self.p_value))[0])

    def outside(self, column: int) -> bool:
        """Whether a column's line leaves the band."""
        share = self.share[column]
        return bool(np.any((share < self.lower - 1e-12) | (share > self.upper + 1e-12)))

    def described(self, column: int) -> str:
        """What a column's line looks like, in a sentence."""
        name, shape = self.names[column], self._shape(column)
        place = "leaves the band" if self.outside(column) else "stays inside the band"
        return (
            f"{name} {place}: largest difference {self.distance[column]:.3f}, p {_shown(self.p_value[column])}{shape}."
        )

    def _shape(self, column: int) -> str:
        """In which way a line outside the band is wrong."""
        if not self.outside(column):
            return ""
        tails = np.interp([0.1, 0.9], self.grid, self.share[column])
        low, high = tails[0] - 0.1, (1 - tails[1]) - 0.1
        if low > 0 and high > 0:
            return "; the model is too narrow (too many values in both tails)"
        if low < 0 and high < 0:
            return "; the model is too wide (too few values in both tails)"
        return "; the model's values are too " + ("high" if low > high else "low")

    def __str__(self) -> str:
        return "\n".join(self.described(column) for column in range(len(self.names)))


@final
@dataclass(frozen=True)
class Coverage:
    """The shares of held-out cells inside central intervals of the model: (columns, levels), and of all cells."""

    names: tuple[str, ...]
    rows: int
    nominal: tuple[float, ...]
    share: Floats
    pooled: Floats
    error: Floats

    def __str__(self) -> str:
        parts = zip(self.nominal, self.pooled, self.error, strict=True)
        return "; ".join(f"{level:.0%} intervals hold {share:.1%} ± {error:.1%}" for level, share, error in parts)


def calibration(pit: ArrayLike, names: Sequence[str] | None = None) -> Calibration:
    r"""Compare probability integral transforms with uniform numbers, in bands that hold for the whole line.

    .. math:: u_{ij} = P(\text{column}_j \le x_{ij} \mid \text{earlier columns}), \qquad
              N_j(t) = \#\{i : u_{ij} \le t\} \sim \mathrm{Binomial}(n, t)

    if the model is right. The band is made of the binomials' central intervals, all of one probability, chosen by
    simulation so that 95 % of uniform lines stay inside everywhere.

    Shapes: ``pit`` (n, columns) in [0, 1], as from `FlowDensity.pit`. Raises `ShapeError` for anything else.

    Source: Säilynoja, Bürkner and Vehtari 2022, "Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison".

    >>> u = np.random.default_rng(0).uniform(size=(1000, 2))
    >>> found = calibration(np.stack([u[:, 0], u[:, 1] ** 1.3], axis=1), ["right", "wrong"])
    >>> [found.outside(column) for column in (0, 1)]
    [False, True]
    """
    pit, names = _checked(pit, names)
    rows = len(pit)
    grid = np.arange(1, POINTS) / POINTS
    share = np.stack([np.searchsorted(np.sort(column), grid, "right") for column in pit.T]) / rows
    reference = _reference(rows)
    extremes = _extreme(np.round(share * rows), rows, grid)
    p_value = (1 + np.searchsorted(reference, extremes, "right")) / (1 + DRAWS)
    lower, upper = _band(rows, grid, float(np.quantile(reference, 1 - LEVEL)))
    return Calibration(
        names, rows, grid, share, lower, upper, np.abs(share - grid).max(axis=1), np.minimum(p_value, 1.0)
    )


def coverage(pit: ArrayLike, names: Sequence[str] | None = None, nominal: Sequence[float] = NOMINAL) -> Coverage:
    r"""Count the cells inside the model's central intervals.

    .. math:: \hat c(p) = \frac1{nd} \sum_{ij} 1\{|2 u_{ij} - 1| \le p\}

    The standard error of a share over all columns takes a row's columns as one observation.

    Shapes: ``pit`` (n, columns) in [0, 1]. Raises `ShapeError` for anything else.

    >>> found = coverage(np.linspace(0.0005, 0.9995, 1000)[:, None])
    >>> found.pooled.round(2).tolist()
    [0.5, 0.68, 0.8, 0.9, 0.95, 0.99]
    """
    pit, names = _checked(pit, names)
    inside = np.abs(2 * pit - 1)[:, :, None] <= np.asarray(nominal)  # (n, columns, levels)
    of_rows = inside.mean(axis=1)
    error = of_rows.std(axis=0) / np.sqrt(len(pit))
    return Coverage(names, len(pit), tuple(nominal), inside.mean(axis=0), of_rows.mean(axis=0), error)


def _checked(pit: ArrayLike, names: Sequence[str] | None) -> tuple[Floats, tuple[str, ...]]:
    values = np.asarray(pit, np.float64)
    if values.ndim != 2 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ShapeError(f"pit must have shape (rows, columns) and lie in [0, 1], got {values.shape}")
    names = tuple(f"column {j}" for j in range(values.shape[1])) if names is None else tuple(names)
    if len(names) != values.shape[1]:
        raise ShapeError(f"one name a column of pit, got {len(names)} for {values.shape[1]}")
    return values, names


def _extreme(counts: Floats, rows: int, grid: Floats) -> Floats:
    """The smallest two-sided binomial probability along each line of counts (..., k): (...)."""
    from scipy.stats import binom

    below = binom.cdf(counts, rows, grid)
    above = binom.sf(counts - 1, rows, grid)
    smallest: Floats = np.minimum(1.0, 2 * np.minimum(below, above)).min(axis=-1)
    return smallest


@lru_cache(maxsize=8)
def _reference(rows: int) -> Floats:
    """What `_extreme` gives for lines of uniform numbers, sorted."""
    counts = np.random.default_rng(0).multinomial(rows, np.full(POINTS, 1 / POINTS), DRAWS)
    return np.sort(_extreme(np.cumsum(counts, axis=1)[:, :-1], rows, np.arange(1, POINTS) / POINTS))


def _band(rows: int, grid: Floats, probability: float) -> tuple[Floats, Floats]:
    """Shares between which every point's two-sided binomial probability is above that."""
    from scipy.stats import binom

    return binom.ppf(probability / 2, rows, grid) / rows, binom.isf(probability / 2, rows, grid) / rows


def _shown(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value > 2 / DRAWS else f"below {2 / DRAWS:.2g}"
