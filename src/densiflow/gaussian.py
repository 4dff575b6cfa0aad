"""The standard normal's distribution function and its inverse, exact in both tails and at any precision."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import erfcx

NEWTON_STEPS = 4  # from a start that is right to a tenth, quadratically to float64


def log_density(u: Array) -> Array:
    r"""Give :math:`\log \varphi(u)`."""
    return -0.5 * u**2 - 0.5 * math.log(2 * math.pi)


def log_cdf(u: Array) -> Array:
    r"""Give :math:`\log \Phi(u)`, which the plain distribution function rounds to -inf far left.

    >>> round(float(log_cdf(jnp.array(-30.0))), 3), round(float(log_cdf(jnp.array(0.0))), 4)
    (-454.321, -0.6931)
    """
    return log_cdf_and_hazard(u)[0]


def log_cdf_and_hazard(u: Array) -> tuple[Array, Array]:
    r"""Give :math:`\log \Phi(u)` and :math:`\log (\varphi(u) / \Phi(u))`, without the cancellation of the two far left.

    Both come of one `log_erfcx`.
    """
    size = jnp.where(u < 0, -u, u)  # not abs, whose slope at 0 is 0
    log_mills = log_erfcx(size / math.sqrt(2)) - math.log(2)
    tail = log_mills - 0.5 * size**2  # log Phi(-size)
    body = jnp.log1p(-jnp.exp(tail))  # log Phi(size)
    hazard = jnp.where(u < 0, -0.5 * math.log(2 * math.pi) - log_mills, log_density(u) - body)
    return jnp.where(u < 0, tail, body), hazard


def log_mass(low: Array, high: Array) -> Array:
    r"""Give :math:`\log(\Phi(\text{high}) - \Phi(\text{low}))`, in either tail and for cells however narrow.

    A cell so narrow that the difference would cancel has the density at its middle times its width.

    >>> [round(float(log_mass(jnp.array(a), jnp.array(b))), 4) for a, b in ((-1.0, 1.0), (20.0, 21.0), (0.0, 1e-6))]
    [-0.3817, -203.9172, -14.7344]
    """
    width, middle = high - low, 0.5 * (low + high)
    tight = float(np.finfo(middle.dtype).eps) ** (1 / 3)
    narrow = width * jnp.maximum(1.0, jnp.abs(middle)) < tight
    sign = jnp.where(middle > 0, -1.0, 1.0).astype(middle.dtype)  # seen from the left, where both are small
    near = jnp.where(narrow, sign * middle, jnp.maximum(sign * low, sign * high))
    far = jnp.where(narrow, near - 1.0, jnp.minimum(sign * low, sign * high))
    wide = log_cdf(near) + jnp.log(-jnp.expm1(_log_ratio(far, near)))
    return jnp.where(narrow, log_density(middle) + jnp.log(jnp.where(narrow, width, 1.0)), wide)


def _log_ratio(far: Array, near: Array) -> Array:
    """Give log Phi(far) - log Phi(near) for far below near, without the cancellation of their squares far left."""
    left = jnp.minimum(near, 0.0)
    farther = jnp.minimum(far, left)
    of_mills = log_erfcx(-farther / math.sqrt(2)) - log_erfcx(-left / math.sqrt(2))
    return jnp.where(near < 0, 0.5 * (far - near) * -(far + near) + of_mills, log_cdf(far) - log_cdf(near))


def log_erfcx(t: Array) -> Array:
    r"""Give :math:`\log(e^{t^2} \operatorname{erfc}(t))` for t at least 0.

    Far out by its series in 1 / (2 t^2), long before erfc itself would round to zero.

    >>> round(float(log_erfcx(jnp.array(9.3))), 4), round(float(jax.grad(log_erfcx)(jnp.array(1e4))), 7)
    (-2.8081, -0.0001)
    """
    edge = 5.0 if t.dtype == jnp.float32 else 20.0
    near, far = jnp.minimum(t, edge), jnp.maximum(t, edge)
    u = 0.5 / far**2
    series = -u * (1 - u * (3 - u * (15 - u * (105 - u * (945 - u * 10395)))))
    return jnp.where(t < edge, jnp.log(erfcx(near)), jnp.log1p(series) - jnp.log(far) - 0.5 * math.log(math.pi))


@jax.custom_jvp
def quantile_of_log(log_p: Array) -> Array:
    r"""Solve :math:`\log \Phi(z) = \log p` for p at most one half, by Newton's method, which a concave function obeys.

    >>> round(float(quantile_of_log(jnp.array(-454.321))), 4)
    -30.0
    """

    def newton(_: int, z: Array) -> Array:
        value, log_slope = log_cdf_and_hazard(z)
        return z - (value - log_p) * jnp.exp(-log_slope)

    size = jnp.maximum(-2 * log_p - math.log(2 * math.pi), 0)
    start = -jnp.sqrt(jnp.maximum(size - jnp.log(jnp.maximum(size, 1)), 0))
    return jnp.where(jnp.isneginf(log_p), -jnp.inf, lax.fori_loop(0, NEWTON_STEPS, newton, start))


@quantile_of_log.defjvp
def _quantile_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    z = quantile_of_log(*primals)
    return z, tangents[0] * jnp.exp(-log_cdf_and_hazard(z)[1])
