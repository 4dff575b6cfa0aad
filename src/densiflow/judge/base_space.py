"""Base space: where the model is right, held-out rows land there as independent standard normal numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ShapeError

Floats = NDArray[Any]

EDGE = 1e-12  # probabilities are kept this far from 0 and 1


@final
@dataclass(frozen=True)
class BaseSpace:
    """Normal scores of held-out rows beside independent standard normal columns.

    ``mean, deviation, skewness, excess`` (kurtosis above the normal's 3) and ``distance`` (largest difference of the
    distribution functions) are one number a column; ``chance`` is what a right model's distance stays below in 95 %
    of cases. ``correlation`` is the largest of a pair of columns, ``of_squares`` that of their squares (dependence
    that a correlation does not see), each with the columns it is found in; ``correlation_chance`` is what the largest
    of all pairs stays below in 95 % of cases. ``radius`` (n,) are the squared distances from the origin, sorted, and
    ``radius_distance`` how far their distribution is from a chi-squared one.
    """

    names: tuple[str, ...]
    scores: Floats
    mean: Floats
    deviation: Floats
    skewness: Floats
    excess: Floats
    distance: Floats
    chance: float
    correlation: float
    correlated: tuple[str, str] | None
    of_squares: float
    squares_correlated: tuple[str, str] | None
    correlation_chance: float
    radius: Floats
    radius_distance: float

    @property
    def worst(self) -> int:
        """The column farthest from the normal."""
        return int(np.argmax(self.distance))

    def __str__(self) -> str:
        worst = self.worst
        text = (
            f"{len(self.scores):,} rows; farthest from the normal is {self.names[worst]} "
            f"(distance {self.distance[worst]:.3f}, by chance up to {self.chance:.3f}; mean {self.mean[worst]:.3f}, "
            f"standard deviation {self.deviation[worst]:.3f}); squared radius: distance {self.radius_distance:.3f}"
        )
        if self.correlated:
            text += (
                f"; largest correlation {self.correlation:.3f} ({' and '.join(self.correlated)}), by chance up to "
                f"{self.correlation_chance:.3f}"
            )
        return text


def base_space(scores: ArrayLike, names: Sequence[str] | None = None) -> BaseSpace:
    r"""Compare normal scores of rows with the standard normal, column by column and together.

    .. math:: r_i^2 = \sum_j z_{ij}^2 \sim \chi^2_D

    Shapes: ``scores`` (n, columns): held-out rows as normal quantiles, see `normal_scores`. Raises `ShapeError` for
    anything else, and for fewer than 3 rows.

    Source: Papamakarios et al. 2021, section 2.1 (the base); Kolmogorov's distance.

    >>> found = base_space(np.random.default_rng(0).normal(size=(500, 3)))
    >>> bool(found.distance.max() < 0.1), found.correlation < found.correlation_chance
    (True, True)
    """
    from scipy.stats import chi2, kstest, kurtosis, norm, skew

    z = np.asarray(scores, np.float64)
    if z.ndim != 2 or len(z) < 3 or not np.isfinite(z).all():
        raise ShapeError(f"scores must be finite with shape (rows, columns), at least 3 rows, got {z.shape}")
    rows, columns = z.shape
    names = tuple(f"column {j}" for j in range(columns)) if names is None else tuple(names)
    distance = np.array([kstest(column, norm.cdf).statistic for column in z.T])
    radius = np.sort((z**2).sum(axis=1))
    correlation, pair = _largest(z, names)
    of_squares, squares_pair = _largest(np.log(z**2 + EDGE), names)
    pairs = max(columns * (columns - 1) // 2, 1)
    return BaseSpace(
        names,
        z,
        z.mean(axis=0),
        z.std(axis=0),
        skew(z),
        kurtosis(z),
        distance,
        1.358 / float(np.sqrt(rows)),
        correlation,
        pair,
        of_squares,
        squares_pair,
        float(norm.isf(0.025 / pairs) / np.sqrt(rows)),
        radius,
        float(kstest(radius, chi2(columns).cdf).statistic),
    )


def normal_scores(pit: ArrayLike) -> Floats:
    r"""Probability integral transforms as standard normal numbers: where a right model takes rows in base space.

    .. math:: z_{ij} = \Phi^{-1}(u_{ij})

    Shapes: ``pit`` (n, columns) in [0, 1], as from `FlowDensity.pit`.

    >>> normal_scores([[0.5, 0.975]]).round(2).tolist()
    [[0.0, 1.96]]
    """
    from scipy.stats import norm

    scores: Floats = norm.ppf(np.clip(np.asarray(pit, np.float64), EDGE, 1 - EDGE))
    return scores


def _largest(z: Floats, names: tuple[str, ...]) -> tuple[float, tuple[str, str] | None]:
    """The correlation farthest from zero, and the columns it is of."""
    if z.shape[1] < 2:
        return 0.0, None
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(z.T))
    np.fill_diagonal(correlation, 0.0)
    i, j = np.unravel_index(np.argmax(np.abs(correlation)), correlation.shape)
    return float(correlation[i, j]), (names[min(i, j)], names[max(i, j)])
