"""The uniform base."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from densiflow.bases.base import Base
from densiflow.errors import ArgumentError, ShapeError
from densiflow.fixed import Fixed
from densiflow.precision import float_dtype
from densiflow.spaces import Space


@final
class Uniform(Base):
    r"""Independent uniform columns: the same density everywhere in a box.

    .. math:: \log p(z) = -\sum_i \log(b_i - a_i) \;\text{ where } a_i \le z_i \le b_i \text{ for every } i,
              \qquad -\infty \text{ elsewhere}

    The border counts as inside, so that rounding does not make a row near it impossible; samples lie strictly
    inside. The box is fixed: training leaves it alone.

    Shapes: ``lower, upper`` (dim,). Raises `ShapeError` where they are not, `ArgumentError` for a bound that is not
    finite, or where no number of the floating type lies between two bounds.

    Source: Papamakarios et al. 2021, section 2.2 (the uniform base of the universality argument).

    >>> base = Uniform([0.0, -1.0], [2.0, 1.0])
    >>> [round(float(base.log_prob(jnp.array(z))), 4) for z in ([0.5, 0.0], [0.5, 1.5])]
    [-1.3863, -inf]
    """

    log_width: Fixed
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, lower: ArrayLike, upper: ArrayLike, *, dtype: DTypeLike | None = None) -> None:
        lower, upper, dtype = np.asarray(lower, np.float64), np.asarray(upper, np.float64), float_dtype(dtype)
        if lower.ndim != 1 or lower.shape != upper.shape or lower.size == 0:
            raise ShapeError(f"lower and upper must both be (dim,), got {lower.shape} and {upper.shape}")
        with np.errstate(over="ignore"):
            start, end = lower.astype(dtype), upper.astype(dtype)
            is_wide = np.isfinite(end - start) & (np.nextafter(start, end) < end)
        if not np.all(is_wide & (lower < upper)):
            raise ArgumentError(
                f"bounds must be finite with {dtype} numbers between them, got {lower.tolist()} and {upper.tolist()}"
            )
        self.log_width = Fixed(jnp.asarray(np.log(upper - lower), dtype))
        self.lower, self.upper = tuple(lower.tolist()), tuple(upper.tolist())
        self.dim, self.context_dim = lower.size, 0

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        lower, upper = self._bounds()
        inside = jnp.all((z >= lower) & (z <= upper))
        elsewhere = jnp.where(jnp.isnan(z).any(), jnp.nan, -jnp.inf)
        return jnp.where(inside, -jnp.sum(self.log_width.value), elsewhere)

    def sample(self, key: Array, context: Array | None = None) -> Array:
        lower, upper = self._bounds()
        z = lower + (upper - lower) * jax.random.uniform(key, (self.dim,), lower.dtype)
        tiny = float(np.finfo(z.dtype).tiny)  # numbers nearer to 0 count as 0 on some machines
        first = jnp.maximum(jnp.nextafter(lower, upper), lower + tiny)
        last = jnp.minimum(jnp.nextafter(upper, lower), upper - tiny)
        return jnp.clip(z, first, last)

    def _bounds(self) -> tuple[Array, Array]:
        dtype = self.log_width.value.dtype
        return jnp.asarray(self.lower, dtype), jnp.asarray(self.upper, dtype)

    @property
    def support(self) -> Space:
        return Space(f"the box from {list(self.lower)} to {list(self.upper)}", self.lower, self.upper)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "one column": cls([0.0], [2.0]),
            "unit cube, five columns": cls([0.0] * 5, [1.0] * 5),
            "scales far apart": cls([-1e-3, 5.0, -4e3], [3e-3, 5.5, 1e3]),
        }
