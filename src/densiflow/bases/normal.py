"""The normal base."""

import math
from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from densiflow import native
from densiflow.bases.base import Base
from densiflow.errors import ArgumentError, ShapeError
from densiflow.fixed import Fixed
from densiflow.precision import float_dtype


@final
class Normal(Base):
    r"""Independent normal columns, standard unless given a mean and a scale.

    .. math:: \log p(z) = -\tfrac12 \sum_i \left(\frac{z_i - m_i}{s_i}\right)^2 - \sum_i \log s_i
              - \tfrac{D}{2} \log 2\pi

    The parameters are fixed: training leaves them alone.

    Shapes: ``mean, scale`` (dim,). Raises `ShapeError` where they are not, `ArgumentError` for a scale that is
    not positive.

    Source: Papamakarios et al. 2021, section 2.1.

    >>> round(float(Normal(2).log_prob(jnp.zeros(2))), 4)
    -1.8379
    """

    mean: Fixed
    log_scale: Fixed
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        mean: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> None:
        if dim < 1:
            raise ArgumentError(f"dim must be at least 1, got {dim}")
        mean = np.zeros(dim) if mean is None else np.asarray(mean)
        scale = np.ones(dim) if scale is None else np.asarray(scale)
        if mean.shape != (dim,) or scale.shape != (dim,):
            raise ShapeError(f"mean and scale must be ({dim},), got {mean.shape} and {scale.shape}")
        if not np.all((scale > 0) & np.isfinite(scale)):
            raise ArgumentError(f"every scale must be positive and finite, got {scale.tolist()}")
        self.mean = Fixed(jnp.asarray(mean, float_dtype(dtype)))
        self.log_scale = Fixed(jnp.asarray(np.log(scale), float_dtype(dtype)))
        self.dim, self.context_dim = dim, 0

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        log_scale = self.log_scale.value
        u = (z - self.mean.value) * jnp.exp(-log_scale)
        return -0.5 * jnp.sum(u**2) - jnp.sum(log_scale) - 0.5 * self.dim * math.log(2 * math.pi)

    def sample(self, key: Array, context: Array | None = None) -> Array:
        mean = self.mean.value
        return mean + jnp.exp(self.log_scale.value) * native.normal(key, self.dim, mean.dtype)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "standard, one column": cls(1),
            "standard, five columns": cls(5),
            "moved and stretched": cls(2, mean=[3.0, -1.0], scale=[0.2, 4.0]),
        }
