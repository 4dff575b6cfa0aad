"""Simpler densities that a flow should beat: one Gaussian, and a mixture of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ArgumentError, ShapeError, TableError, WeightError

Floats = NDArray[Any]


@final
@dataclass(frozen=True)
class Gaussian:
    r"""A normal with full covariance, by the Cholesky root of that covariance.

    .. math:: \log p(x) = -\tfrac12 \|L^{-1} (x - \mu)\|^2 - \sum_i \log L_{ii} - \tfrac D2 \log 2\pi

    Shapes: ``mean`` (dim,), ``root`` L (dim, dim), lower triangular.
    """

    mean: Floats
    root: Floats

    def score_samples(self, x: ArrayLike) -> Floats:
        """Log density of rows (n, dim), in nats and in their units: (n,). Raises `ShapeError` for another width."""
        from scipy.linalg import solve_triangular

        white = solve_triangular(self.root, (_checked(x, len(self.mean)) - self.mean).T, lower=True)  # (dim, n)
        constant = np.log(np.diag(self.root)).sum() + 0.5 * len(self.mean) * np.log(2 * np.pi)
        score: Floats = -0.5 * (white**2).sum(axis=0) - constant
        return score


@final
@dataclass(frozen=True)
class GaussianMixture:
    r"""A mixture of normals with full covariances, fitted to standardised columns.

    .. math:: \log p(x) = \log q\left(\frac{x - \mu}{\sigma}\right) - \sum_i \log \sigma_i

    Shapes: ``mean`` and ``deviation`` (dim,). ``mixture`` is scikit-learn's, fitted; ``components`` is how many
    normals it has.
    """

    mixture: Any
    mean: Floats
    deviation: Floats
    components: int

    def score_samples(self, x: ArrayLike) -> Floats:
        """Log density of rows (n, dim), in nats and in their units: (n,). Raises `ShapeError` for another width."""
        standardised = (_checked(x, len(self.mean)) - self.mean) / self.deviation
        score: Floats = self.mixture.score_samples(standardised) - np.log(self.deviation).sum()
        return score


def gaussian(train: ArrayLike, weight: ArrayLike | None = None) -> Gaussian:
    r"""Fit the normal with full covariance that makes the (weighted) training rows likeliest.

    .. math:: \mu = \frac{\sum_n w_n x_n}{\sum_n w_n}, \qquad
              \Sigma = \frac{\sum_n w_n (x_n - \mu)(x_n - \mu)^T}{\sum_n w_n}

    Shapes: ``train`` (n, dim), ``weight`` (n,). Raises `ShapeError` or `WeightError` for arrays that do not fit,
    `TableError` for columns that no normal has a density for: one value only, or a sum of other columns.

    >>> density = gaussian([[-1.0], [1.0]])
    >>> density.score_samples([[0.0]]).round(4).tolist()
    [-0.9189]
    """
    train = _checked(train)
    weight = np.ones(len(train)) if weight is None else np.asarray(weight, np.float64)
    if weight.shape != (len(train),) or not (weight >= 0).all() or not 0 < weight.sum() < np.inf:
        raise WeightError(f"weight must hold {len(train)} finite numbers, none negative and some positive")
    mean, deviation = _moments(train, weight)
    white = (train - mean) / deviation
    try:
        root = np.linalg.cholesky((white.T * weight) @ white / weight.sum())
    except np.linalg.LinAlgError:
        raise TableError("some columns are linear combinations of others: leave those out of the rows") from None
    return Gaussian(mean, deviation[:, None] * root)


def gaussian_mixture(
    train: ArrayLike,
    validation: ArrayLike,
    components: Sequence[int] = (1, 2, 3, 5, 7, 10, 13, 16, 20, 25, 30),
    random_state: int | None = 0,
) -> GaussianMixture:
    """Fit the mixture of normals with full covariances that scores best on validation rows.

    Shapes: ``train`` (n, dim), ``validation`` (m, dim); ``components`` are the numbers of normals to try, of which
    those above n are passed over. Raises `ShapeError` for arrays that do not fit, `TableError` for a column of one
    value, `ArgumentError` if no number of normals is left to try.

    >>> rows = np.random.default_rng(0).normal(size=(400, 1)) + np.repeat([[-9.0], [9.0]], 200, axis=0)
    >>> gaussian_mixture(rows[::2], rows[1::2], components=(1, 2)).components
    2
    """
    train = _checked(train)
    validation = _checked(validation, train.shape[1])
    tried = [count for count in components if 1 <= count <= len(train)]
    if not tried:
        raise ArgumentError(
            f"components must hold a number from 1 to {len(train)}, the training rows, got {components}"
        )
    mean, deviation = _moments(train, np.ones(len(train)))
    white, white_validation = (train - mean) / deviation, (validation - mean) / deviation
    fitted = [_mixture(white, count, random_state) for count in tried]
    best = max(fitted, key=lambda mixture: mixture.score(white_validation))
    return GaussianMixture(best, mean, deviation, best.n_components)


def _mixture(white: Floats, components: int, random_state: int | None) -> Any:
    from sklearn import mixture
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the validation rows judge what was reached
        return mixture.GaussianMixture(components, max_iter=500, random_state=random_state).fit(white)


def _moments(rows: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column."""
    mean = np.average(rows, axis=0, weights=weight)
    deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weight))
    if not (deviation > 0).all():
        column = int(np.argmin(deviation))
        raise TableError(f"column {column} holds one value only, so it has no density: leave it out of the rows")
    return mean, deviation


def _checked(x: ArrayLike, dim: int | None = None) -> Floats:
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or len(x) == 0 or dim not in (None, x.shape[1]):
        raise ShapeError(f"rows must have shape (rows, {dim or 'columns'}) with at least one row, got {x.shape}")
    return x
