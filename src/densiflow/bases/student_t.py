"""The Student-t base."""

import math
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln
from jax.typing import DTypeLike

from densiflow.bases.base import Base
from densiflow.errors import ArgumentError
from densiflow.precision import float_dtype

AT_ZERO = 28.0  # by how much the degrees of freedom exceed 2 where `tails` is 0


@final
class StudentT(Base):
    r"""Independent Student-t columns of unit variance: a normal with heavier tails.

    .. math:: \log p(z) = \sum_i \log\frac{\Gamma\left(\frac{\nu_i + 1}{2}\right)}
              {\Gamma\left(\frac{\nu_i}2\right) \sqrt{\pi \nu_i}\, s_i}
              - \tfrac{\nu_i + 1}{2} \log\left(1 + \frac{z_i^2}{\nu_i s_i^2}\right), \qquad
              s_i = \sqrt{\frac{\nu_i - 2}{\nu_i}}, \qquad \nu_i = 2 + 28\, e^{t_i}

    An affine flow has the tails of its base, so this one keeps a row far from the others from counting as
    impossible. The degrees of freedom are trained with the flow, column by column: large where tails are light
    (nearly normal), small where they are heavy.

    Shapes: ``z, tails`` t (dim,). Raises `ArgumentError` for a dim below 1, or degrees of freedom that do not exceed 2.

    Source: Jaini et al. 2020, "Tails of Lipschitz triangular flows", section 3 (tails of the base are those of the
    flow); samples by Bailey 1994, "Polar generation of random variates with the t-distribution".

    >>> round(float(StudentT(1, degrees_of_freedom=4.0).log_prob(jnp.zeros(1))), 4)
    -0.6343
    """

    tails: Array  # 0 is 30 degrees of freedom, nearly normal: where weight decay draws to
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, dim: int, degrees_of_freedom: float = 2.0 + AT_ZERO, *, dtype: DTypeLike | None = None) -> None:
        if dim < 1:
            raise ArgumentError(f"dim must be at least 1, got {dim}")
        if not (degrees_of_freedom > 2 and math.isfinite(degrees_of_freedom)):
            raise ArgumentError(f"degrees_of_freedom must be finite and exceed 2, got {degrees_of_freedom}")
        self.tails = jnp.full(dim, math.log((degrees_of_freedom - 2) / AT_ZERO), float_dtype(dtype))
        self.dim, self.context_dim = dim, 0

    def _constants(self) -> tuple[Array, Array]:
        """The degrees of freedom, and the scales that make the variances one."""
        excess = AT_ZERO * jnp.exp(self.tails)
        return excess + 2, jnp.sqrt(excess / (excess + 2))

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        nu, scale = self._constants()
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(jnp.pi * nu) - jnp.log(scale)
        # log(1 + u^2 / nu) as 2 log hypot(1, u / sqrt(nu)), whose square can't overflow
        tails = jnp.log(jnp.hypot(1.0, z / (scale * jnp.sqrt(nu))))
        return jnp.sum(constant - (nu + 1) * tails)

    def sample(self, key: Array, context: Array | None = None) -> Array:
        nu, scale = self._constants()
        radius_key, angle_key = jax.random.split(key)
        u = 1 - jax.random.uniform(radius_key, (self.dim,), nu.dtype)  # above 0, so that the radius is finite
        radius = jnp.sqrt(nu * jnp.expm1(-2 / nu * jnp.log(u)))
        angle = 2 * jnp.pi * jax.random.uniform(angle_key, (self.dim,), nu.dtype)
        return scale * radius * jnp.cos(angle)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {"heavy tails, one column": cls(1, 3.0), "two columns": cls(2, 5.0), "nearly normal": cls(4, 60.0)}
