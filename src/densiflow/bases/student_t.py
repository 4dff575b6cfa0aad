"""The Student-t base."""

import math
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from densiflow.bases.base import Base
from densiflow.errors import ArgumentError
from densiflow.precision import float_dtype

MIDDLE = 28.0  # by how much the degrees of freedom exceed 2 where `tails` is 0
BOUND = 3.5  # of the logarithm of what they are more or less than that: from 2.8 to 929
FEWEST, MOST = 3.0, 900.0


@final
class StudentT(Base):
    r"""Independent Student-t columns of unit variance: a normal with heavier tails.

    .. math:: \log p(z) = \sum_i \log\frac{\Gamma\left(\frac{\nu_i + 1}{2}\right)}
              {\Gamma\left(\frac{\nu_i}2\right) \sqrt{\pi \nu_i}\, s_i}
              - \tfrac{\nu_i + 1}{2} \log\left(1 + \frac{z_i^2}{\nu_i s_i^2}\right), \qquad
              s_i = \sqrt{\frac{\nu_i - 2}{\nu_i}}

    An affine flow has the tails of its base, so this one keeps a row far from the others from counting as
    impossible. The degrees of freedom, :math:`\nu_i = 2 + 28 \exp(B \tanh(t_i / B))`, are trained with the flow,
    column by column: large where tails are light (nearly normal), small where they are heavy.

    Shapes: ``z, tails`` t (dim,). Raises `ArgumentError` for a dim below 1, or degrees of freedom outside 3 to 900.

    Source: Jaini et al. 2020, "Tails of Lipschitz triangular flows", section 3 (tails of the base are those of the
    flow); samples by Bailey 1994, "Polar generation of random variates with the t-distribution".

    >>> round(float(StudentT(1, degrees_of_freedom=4.0).log_prob(jnp.zeros(1))), 4)
    -0.6343
    """

    tails: Array  # 0 is 30 degrees of freedom, nearly normal: where weight decay draws to
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, dim: int, degrees_of_freedom: float = 2.0 + MIDDLE, *, dtype: DTypeLike | None = None) -> None:
        if dim < 1:
            raise ArgumentError(f"dim must be at least 1, got {dim}")
        if not FEWEST <= degrees_of_freedom <= MOST:
            raise ArgumentError(f"degrees_of_freedom must be from {FEWEST:g} to {MOST:g}, got {degrees_of_freedom}")
        tails = BOUND * math.atanh(math.log((degrees_of_freedom - 2) / MIDDLE) / BOUND)
        self.tails = jnp.full(dim, tails, float_dtype(dtype))
        self.dim, self.context_dim = dim, 0

    def constants(self) -> tuple[Array, Array]:
        """The degrees of freedom, and the scales that make the variances one."""
        excess = MIDDLE * jnp.exp(BOUND * jnp.tanh(self.tails / BOUND))
        return excess + 2, jnp.sqrt(excess / (excess + 2))

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        nu, scale = self.constants()
        constant = _log_gamma_step(nu / 2) - 0.5 * jnp.log(jnp.pi * nu) - jnp.log(scale)
        return jnp.sum(constant - 0.5 * (nu + 1) * jnp.log1p((z / scale) ** 2 / nu))

    def sample(self, key: Array, context: Array | None = None) -> Array:
        nu, scale = self.constants()
        radius_key, angle_key = jax.random.split(key)
        u = 1 - jax.random.uniform(radius_key, (self.dim,), nu.dtype)  # above 0, so that the radius is finite
        radius = jnp.sqrt(nu * jnp.expm1(-2 / nu * jnp.log(u)))
        angle = 2 * jnp.pi * jax.random.uniform(angle_key, (self.dim,), nu.dtype)
        return scale * radius * jnp.cos(angle)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "heavy tails, one column": cls(1, 3.0),
            "two columns": cls(2, 5.0),
            "nearly normal": cls(4, 900.0),
        }


def _log_gamma_step(x: Array) -> Array:
    """Give log Gamma(x + 1/2) - log Gamma(x), x above 1: eight steps up, then Stirling's series.

    The difference of two log-gammas would lose its digits in float32 at many degrees of freedom.
    """
    y = x + 8
    series = 0.5 * jnp.log(y) - 1 / (8 * y) + 1 / (192 * y**3) - 1 / (640 * y**5)
    return series + sum(jnp.log1p(-0.5 / (x + k + 0.5)) for k in range(8))
