"""The distribution function of a mixture of normals, as a map to a normal number."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import logsumexp

from densiflow import gaussian
from densiflow.arguments import check_count
from densiflow.roots import increasing_root
from densiflow.scalars.base import ScalarMap

BOUND = 5.0  # of the components' log-scales


@final
class MixtureCDF(ScalarMap):
    r"""Send a number through the distribution function of a mixture of normals, then to a standard normal number.

    .. math:: \Phi(z) = F(x) = \sum_k w_k\, \Phi\left(\frac{x - \mu_k}{s_k}\right), \qquad
              \log \frac{dz}{dx} = \log F'(x) - \log \varphi(z)

    On a normal base the density of x is the mixture's, :math:`\sum_k w_k \mathcal N(x; \mu_k, s_k^2)`. `to_base` is
    closed, `to_data` a root search between the components' own quantiles. Both are computed from whichever tail of F
    is smaller, in logarithms, so that no row is so far out that F rounds to 0 or 1.

    The network gives K logits of w, K means and K numbers `a` with :math:`\log s = B \tanh(a / B)`, B = 5.

    Shapes: ``theta`` (..., 3 components). Raises `ArgumentError` for fewer than one component.

    Source: Papamakarios et al. 2017, section 3.2 (MADE MoG); as a map, Ho et al. 2019, "Flow++", section 3.2.

    >>> theta = jnp.array([0.0, 0.0, -2.0, 2.0, 0.0, 0.0])  # two equal normals, at -2 and 2
    >>> z, log_slope = MixtureCDF(2).to_base(jnp.array(0.0), theta)
    >>> bool(jnp.allclose(gaussian.log_density(z) + log_slope, gaussian.log_density(jnp.array(2.0))))
    True
    """

    components: int = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    together = 16

    def __init__(self, components: int = 10) -> None:
        self.components, self.parameters = components, 3 * components

    def __check_init__(self) -> None:
        check_count("components", self.components, 1)

    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        log_w, mean, log_s = self.mixture(theta)
        u = (x[..., None] - mean) * jnp.exp(-log_s)
        lower = logsumexp(log_w + gaussian.log_cdf(u), axis=-1)
        upper = logsumexp(log_w + gaussian.log_cdf(-u), axis=-1)
        sign = jnp.where(lower < upper, 1, -1).astype(x.dtype)
        inward = gaussian.quantile_of_log(jnp.minimum(lower, upper))  # z, or -z on the right
        return sign * inward, _log_slope(sign[..., None] * u, inward, log_w, log_s)

    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        log_w, mean, log_s = self.mixture(theta)
        sign = jnp.where(z < 0, 1, -1).astype(z.dtype)
        inward = sign * z
        level = gaussian.log_cdf(inward)

        def inward_of(x: Array) -> Array:
            return sign[..., None] * (x[..., None] - mean) * jnp.exp(-log_s)

        def excess(x: Array) -> Array:
            """How far log F lies above its wanted level on the left, log (1 - F) below it on the right."""
            return sign * (logsumexp(log_w + gaussian.log_cdf(inward_of(x)), axis=-1) - level)

        quantiles = lax.stop_gradient(mean + jnp.exp(log_s) * z[..., None])
        low, high = jnp.min(quantiles, axis=-1), jnp.max(quantiles, axis=-1)
        spare = 4 * np.finfo(z.dtype).eps * (1 + jnp.abs(low) + jnp.abs(high))  # for the ends' own rounding
        x = increasing_root(excess, low - spare, high + spare)
        return x, -_log_slope(inward_of(x), inward, log_w, log_s)

    def mixture(self, theta: Array) -> tuple[Array, Array, Array]:
        """The log weights, means and log scales, each (..., components)."""
        logits, mean, a = (theta[..., k * self.components : (k + 1) * self.components] for k in range(3))
        return jax.nn.log_softmax(logits), mean, BOUND * jnp.tanh(a / BOUND)

    def training_start(self) -> np.ndarray:
        """Components side by side, since equal ones would get equal gradients for ever."""
        place = 2 * (np.arange(self.components) + 0.5) / self.components - 1 if self.components > 1 else np.zeros(1)
        zeros = np.zeros(self.components)
        return np.concatenate([zeros, 1.5 * place, zeros - 0.5 * (self.components > 1)])

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {"one component": cls(1), "three components": cls(3)}


def _log_slope(u: Array, z: Array, log_w: Array, log_s: Array) -> Array:
    """Give log dz/dx from each component's own number u (..., components) and z, all seen from the left.

    log F' - log F and log phi - log Phi are small numbers where F' and phi are tiny ones.
    """
    log_cdf, log_hazard = gaussian.log_cdf_and_hazard(u)
    share = jax.nn.log_softmax(log_w + log_cdf)  # of F, of which far out every component has next to nothing
    return logsumexp(share + log_hazard - log_s, axis=-1) - gaussian.log_cdf_and_hazard(z)[1]
