"""The mixture of normals as a base."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import logsumexp
from jax.typing import DTypeLike

from densiflow import gaussian, native
from densiflow.arguments import check_count
from densiflow.bases.base import Base
from densiflow.precision import float_dtype
from densiflow.scalars.mixture_cdf import BOUND, MixtureCDF


@final
class Mixture(Base):
    r"""A mixture of normals, each with independent columns; weights, means and scales are trained.

    .. math:: p(z) = \sum_k w_k \prod_i \mathcal N(z_i;\, \mu_{ki}, s_{ki}^2), \qquad
              w = \operatorname{softmax}(l), \quad \log s = B \tanh(a / B)

    A flow on it need not tear one bell apart to make separate modes. Its start: means drawn from a standard normal,
    scales of one half, equal weights.

    A sample is drawn column by column: given the columns before it, a column is a mixture of normals by itself, with
    the components' weights as those columns leave them, and a normal number is sent through its distribution
    function. So samples are smooth in every parameter, the weights included.

    Shapes: ``z`` (dim,), ``logits`` (components,), ``means, scales`` a (components, dim). Raises `ArgumentError` for
    fewer than one component or column.

    Source: Papamakarios et al. 2021, section 2.1; samples by Figurnov et al. 2018, "Implicit reparameterization
    gradients", section 3 (multivariate distribution function).

    >>> base = Mixture(jax.random.key(0), dim=2, components=3)
    >>> base.sample(jax.random.key(1)).shape
    (2,)
    """

    logits: Array
    means: Array
    scales: Array  # what log-scales are made of
    components: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, key: Array, dim: int, components: int = 10, *, dtype: DTypeLike | None = None) -> None:
        check_count("dim", dim, 1)
        check_count("components", components, 1)
        dtype = float_dtype(dtype)
        self.logits = jnp.zeros(components, dtype)
        self.means = jax.random.normal(key, (components, dim), dtype)
        self.scales = jnp.full((components, dim), BOUND * np.arctanh(np.log(0.5) / BOUND), dtype)
        self.components, self.dim, self.context_dim = components, dim, 0

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        columns = _log_normal(z, self.means, self.scales)  # (components, dim)
        return logsumexp(jax.nn.log_softmax(self.logits) + jnp.sum(columns, axis=-1))

    def sample(self, key: Array, context: Array | None = None) -> Array:
        normal = native.normal(key, self.dim, self.means.dtype)
        column = MixtureCDF(self.components)

        def draw(logits: Array, numbers: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            number, mean, a = numbers
            z, _ = column.to_data(number, jnp.concatenate([logits, mean, a]))
            return logits + _log_normal(z, mean, a), z

        return lax.scan(draw, self.logits, (normal, self.means.T, self.scales.T))[1]

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        apart = cls(key, 2, 3)
        return {
            "one component, one column": cls(key, 1, 1),
            "four components": cls(key, 3, 4),
            "modes far apart": eqx.tree_at(lambda base: base.means, apart, 8 * apart.means),
        }


def _log_normal(z: Array, mean: Array, a: Array) -> Array:
    log_s = BOUND * jnp.tanh(a / BOUND)
    return gaussian.log_density((z - mean) * jnp.exp(-log_s)) - log_s
