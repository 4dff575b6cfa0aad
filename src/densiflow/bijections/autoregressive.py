"""The autoregressive bijection: each column is mapped with parameters read from the columns before it."""

from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from densiflow.bijections.base import Bijection
from densiflow.networks.masked_mlp import ContextLayers, MaskedMLP, Start
from densiflow.scalars.affine import Affine
from densiflow.scalars.base import ScalarMap


@final
class Autoregressive(Bijection):
    r"""Map column i by a scalar map whose parameters are a function of columns 1 .. i - 1 and the context.

    .. math:: x_i = \tau(z_i;\, \theta_i(x_{<i}, c)), \qquad
              \log\left|\det\right|_\text{to base} = \sum_i \log \frac{dz_i}{dx_i}

    `to_base` is one pass of the masked network; `to_data` fills the columns in one by one, a pass for each.
    With the affine map and a normal base this is one layer of a masked autoregressive flow, a MADE by itself.

    Shapes: ``x, z`` (dim,), ``context`` (context_dim,). Raises `ArgumentError` as `MaskedMLP` does.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", eq. 1 to 5.

    >>> import jax
    >>> layer = Autoregressive(jax.random.key(0), dim=2, start="random")
    >>> x = jnp.array([0.3, -1.2])
    >>> z, _ = layer.to_base(x)
    >>> bool(jnp.allclose(layer.to_data(z)[0], x, atol=1e-5))
    True
    """

    conditioner: MaskedMLP
    scalar: ScalarMap
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        dim: int,
        context_dim: int = 0,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: str = "relu",
        scalar: ScalarMap | None = None,
        context_layers: ContextLayers = "first",
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim = dim, context_dim
        self.scalar = Affine() if scalar is None else scalar
        self.conditioner = MaskedMLP(
            key,
            dim,
            context_dim,
            parameters=self.scalar.parameters,
            hidden=hidden,
            activation=activation,
            context_layers=context_layers,
            start=start,
            dtype=dtype,
        )

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        z, log_slope = self.scalar.to_base(x, self.conditioner(x, context))
        return z, jnp.sum(log_slope)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        def column(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, total = carry  # columns after i are still zero; nothing that column i reads is among them
            theta = self.conditioner(x, context)
            x_i, log_slope = self.scalar.to_data(z[i], theta[i])
            return x.at[i].set(x_i), total + log_slope

        return lax.fori_loop(0, self.dim, column, (jnp.zeros_like(z), jnp.zeros((), z.dtype)))

    def dependence(self) -> np.ndarray:
        return self.conditioner.dependence() | np.eye(self.dim, dtype=bool)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        cases: dict[str, Self] = {
            "one column": cls(key, 1, hidden=(3,), activation="tanh", start="random"),
            "one column, context": cls(key, 1, 2, hidden=(5, 4), activation="silu", start="random"),
            "two columns": cls(key, 2, hidden=(8,), activation="gelu", start="random"),
            "narrower than dim - 1": cls(key, 5, hidden=(3, 2), activation="tanh", start="random"),
            "narrow, context everywhere": cls(
                key, 5, 1, hidden=(2, 6), activation="sigmoid", start="random", context_layers="all"
            ),
            "no hidden layer, context": cls(key, 3, 2, hidden=(), start="random"),
            "relu, deep": cls(key, 3, 1, hidden=(16, 12, 16), start="random"),
        }
        for name, scalar in Affine.examples().items():
            cases[f"scale {name}"] = cls(key, 2, 1, hidden=(6,), scalar=scalar, activation="tanh", start="random")
        return cases
