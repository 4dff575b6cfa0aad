"""The normal base with a full covariance."""

import math
from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray

from densiflow import native
from densiflow.bases.base import Base
from densiflow.errors import ArgumentError, ShapeError
from densiflow.fixed import Fixed
from densiflow.precision import float_dtype


@final
class MultivariateNormal(Base):
    r"""A normal distribution whose columns are correlated.

    .. math:: \log p(z) = -\tfrac12 \lVert L^{-1} (z - m) \rVert^2 - \sum_i \log L_{ii} - \tfrac{D}{2} \log 2\pi,
              \qquad \Sigma = L L^\top

    The covariance :math:`\Sigma` is kept as its Cholesky factor `L`, lower triangular. The parameters are fixed:
    training leaves them alone. `Normal` is the case of columns that are independent.

    Shapes: ``mean`` (dim,), ``covariance`` (dim, dim). Raises `ShapeError` where they are not, `ArgumentError` for a
    mean that is not finite, or a covariance that is not symmetric and positive definite.

    Source: Bishop 2006, "Pattern recognition and machine learning", section 2.3; density by triangular solve,
    Golub and Van Loan 2013, "Matrix computations", section 4.2.

    >>> base = MultivariateNormal([0.0, 0.0], [[1.0, 0.6], [0.6, 1.0]])
    >>> round(float(base.log_prob(jnp.zeros(2))), 4)
    -1.6147
    """

    mean: Fixed
    factor: Fixed  # (dim, dim), lower triangular
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, mean: ArrayLike, covariance: ArrayLike, *, dtype: DTypeLike | None = None) -> None:
        mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
        dim = mean.size
        if mean.shape != (dim,) or dim == 0 or covariance.shape != (dim, dim):
            raise ShapeError(f"mean must be (dim,) and covariance (dim, dim), got {mean.shape} and {covariance.shape}")
        if not np.isfinite(mean).all():
            raise ArgumentError(f"every mean must be finite, got {mean.tolist()}")
        self.mean = Fixed(jnp.asarray(mean, float_dtype(dtype)))
        self.factor = Fixed(jnp.asarray(_cholesky(covariance), float_dtype(dtype)))
        self.dim, self.context_dim = dim, 0

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        factor = self.factor.value
        scale = jnp.diagonal(factor)
        u = (z - self.mean.value) / scale
        far = jnp.any(jnp.abs(u) > float(np.sqrt(np.finfo(u.dtype).max)))  # squares are infinite, and so the density 0
        u = solve_triangular(factor / scale[:, None], jnp.where(far, 0.0, u), lower=True, unit_diagonal=True)
        log_prob = -0.5 * jnp.sum(u**2) - jnp.sum(jnp.log(scale)) - 0.5 * self.dim * math.log(2 * math.pi)
        return jnp.where(far, -jnp.inf, log_prob)

    def sample(self, key: Array, context: Array | None = None) -> Array:
        mean = self.mean.value
        return mean + self.factor.value @ native.normal(key, self.dim, mean.dtype)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        far_apart = np.array([1e-3, 1.0, 40.0])
        correlations = np.array([[1.0, 0.9, -0.5], [0.9, 1.0, -0.3], [-0.5, -0.3, 1.0]])
        return {
            "one column": cls([2.0], [[0.25]]),
            "five columns": cls(np.arange(5.0), 0.5 * np.eye(5) + 0.5),
            "scales far apart": cls([0.0, -5.0, 3.0], correlations * np.outer(far_apart, far_apart)),
        }


def _cholesky(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower triangular factor; `ArgumentError` for a matrix without one.

    Judged and factored in units that make the variances one: scales far apart would hide a correlation of 1.
    """
    variances = np.diagonal(covariance)
    if not (np.isfinite(covariance).all() and np.all(variances > 0)):
        raise ArgumentError(f"a covariance must be finite with positive variances, got {covariance.tolist()}")
    scale = np.sqrt(variances)
    correlations = covariance / scale / scale[:, None]
    rounding = len(scale) * np.finfo(np.float64).eps
    if np.max(np.abs(correlations - correlations.T)) > 1e3 * rounding:
        raise ArgumentError(f"a covariance must be symmetric, got {covariance.tolist()}")
    eigenvalues = np.linalg.eigvalsh(correlations)
    if eigenvalues[0] <= rounding:
        raise ArgumentError(
            f"a covariance must be positive definite, got one whose correlations have the eigenvalue "
            f"{eigenvalues[0]:.3g}: leave out a column that others determine"
        )
    return np.asarray(scale[:, None] * np.linalg.cholesky(correlations))
