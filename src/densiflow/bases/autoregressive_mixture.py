"""The autoregressive mixture of normals as a base: a MADE MoG."""

from collections.abc import Sequence
from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow import gaussian, native
from densiflow.bases.base import Base
from densiflow.bijections.autoregressive import Autoregressive
from densiflow.networks.conditioner import saying
from densiflow.networks.masked_mlp import ContextLayers, Start
from densiflow.precision import dtype_of
from densiflow.scalars.mixture_cdf import MixtureCDF


@final
class AutoregressiveMixture(Base):
    r"""Each column a mixture of normals, given the columns before it and the context.

    .. math:: p(z \mid c) = \prod_i \sum_k w_{ik}\, \mathcal N(z_i;\, \mu_{ik}, s_{ik}^2), \qquad
              (w, \mu, s)_i = \theta_i(z_{<i}, c)

    The masked network that gives the mixtures is trained with the flow. A sample costs a pass of it for each column.
    The components start side by side; with ``start="identity"`` every mixture is the same and reads nothing at first.

    Shapes: ``z`` (dim,), ``context`` (context_dim,). Raises `ArgumentError` as `MaskedMLP` and `MixtureCDF` do.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.2 (MAF MoG).

    >>> import jax
    >>> base = AutoregressiveMixture(jax.random.key(0), dim=2, context_dim=1, components=3, hidden=(8,))
    >>> base.sample(jax.random.key(1), jnp.array([0.5])).shape
    (2,)
    """

    layer: Autoregressive  # from z to independent normal columns
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        dim: int,
        context_dim: int = 0,
        *,
        components: int = 10,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        context_layers: ContextLayers = "first",
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        scalar = MixtureCDF(components)
        layer = Autoregressive(
            key,
            dim,
            context_dim,
            hidden=tuple(hidden),
            activation=activation,
            scalar=scalar,
            context_layers=context_layers,
            start=start,
            dtype=dtype,
        )
        side_by_side = saying(layer.conditioner, scalar.training_start())
        self.layer = eqx.tree_at(lambda layer: layer.conditioner, layer, side_by_side)
        self.dim, self.context_dim = dim, context_dim

    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        beyond = jnp.any(jnp.abs(z) > float(np.sqrt(np.finfo(z.dtype).max)) / 1e3)  # whose squares are infinite
        normal, log_det = self.layer.to_base(jnp.where(beyond, 0, z), context)
        return jnp.where(beyond, -jnp.inf, jnp.sum(gaussian.log_density(normal)) + log_det)

    def sample(self, key: Array, context: Array | None = None) -> Array:
        normal = native.normal(key, self.dim, dtype_of(self.layer))
        return self.layer.to_data(normal, context)[0]

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "one column": cls(key, 1, components=3, hidden=(4,)),
            "two columns, context": cls(
                key, 2, 1, components=2, hidden=(6,), activation="tanh", start="random", context_layers="all"
            ),
        }
