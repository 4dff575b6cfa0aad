"""The autoregressive bijection: each column is mapped with parameters read from the columns before it."""

from functools import partial
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from densiflow import native
from densiflow.bijections.base import Bijection
from densiflow.bijections.one_pass import one_pass
from densiflow.bijections.permute import checked_permutation
from densiflow.bijections.ways import chosen_inversion, jacobi
from densiflow.errors import ShapeError
from densiflow.networks.conditioner import AutoregressiveConditioner, ready_to_train
from densiflow.networks.masked_mlp import ContextLayers, MaskedMLP, Start
from densiflow.networks.residual_masked_mlp import ResidualMaskedMLP
from densiflow.networks.triangular import TriangularNetwork, columns
from densiflow.scalars.affine import Affine
from densiflow.scalars.base import ScalarMap


@final
class Autoregressive(Bijection):
    r"""Map column i by a scalar map whose parameters are a function of columns 1 .. i - 1 and the context.

    .. math:: x_i = \tau(z_i;\, \theta_i(x_{<i}, c)), \qquad
              \log\left|\det\right|_\text{to base} = \sum_i \log \frac{dz_i}{dx_i}

    `to_base` is one pass of the masked network. `to_data` fills the columns in one by one, a pass for each; for many
    rows at once each unit of the network is computed only once, see `inversion`.
    With the affine map and a normal base this is one layer of a masked autoregressive flow, a MADE by itself.

    The Jacobian is a lower triangle. ``order`` names the columns in the order they are read in, ``order[0]`` first:
    from last to first makes it an upper triangle, any other order a triangle of the columns so ordered.

    Shapes: ``x, z`` (dim,), ``context`` (context_dim,), ``order`` (dim,), kept as int32. Raises `ArgumentError` as
    `MaskedMLP` does and for an order that is no permutation of the columns.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", eq. 1 to 5.

    >>> layer = Autoregressive(jax.random.key(0), dim=2, start="random")
    >>> x = jnp.array([0.3, -1.2])
    >>> z, _ = layer.to_base(x)
    >>> bool(jnp.allclose(layer.to_data(z)[0], x, atol=1e-5))
    True
    """

    conditioner: AutoregressiveConditioner
    scalar: ScalarMap
    order: Array | None  # None reads the columns as they stand
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
        order: ArrayLike | None = None,
        context_layers: ContextLayers = "first",
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim = dim, context_dim
        self.order = None if order is None else checked_permutation(order, dim)
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

    @classmethod
    def of(cls, conditioner: AutoregressiveConditioner, scalar: ScalarMap, order: ArrayLike | None = None) -> Self:
        """The bijection of a ready-made conditioner; `ShapeError` unless it gives what the scalar map takes."""
        if conditioner.parameters != scalar.parameters:
            raise ShapeError(
                f"the conditioner gives {conditioner.parameters} numbers a column, but {type(scalar).__name__} takes "
                f"{scalar.parameters}"
            )
        blank = cls(jax.random.key(0), conditioner.dim, conditioner.context_dim, hidden=(), scalar=scalar, order=order)
        return eqx.tree_at(lambda layer: layer.conditioner, blank, conditioner)

    def _ordered(self, row: Array) -> Array:
        return row if self.order is None else row[self.order]

    def _restored(self, row: Array) -> Array:
        return row if self.order is None else jnp.zeros_like(row).at[self.order].set(row)

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        x = self._ordered(x)
        z, log_slope = self.scalar.to_base(x, self.conditioner(x, context))
        return self._restored(z), jnp.sum(log_slope)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        z = self._ordered(z)

        def column(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, total = carry  # columns after i are still zero; nothing that column i reads is among them
            theta = self.conditioner(x, context)
            x_i, log_slope = self.scalar.to_data(z[i], theta[i])
            return x.at[i].set(x_i), total + log_slope

        x, log_det = lax.fori_loop(0, self.dim, column, (jnp.zeros_like(z), jnp.zeros((), z.dtype)))
        return self._restored(x), log_det

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        if not isinstance(self.conditioner, TriangularNetwork):
            return super().to_base_columns(x, context)
        z, log_det = native.to_base(self.conditioner, self.scalar, self._ordered(x), context, self.to_base_in_jax)
        return self._restored(z), log_det

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        network, scalar, way = self.conditioner, self.scalar, chosen_inversion()
        if way == "jacobi":
            x, log_det, _ = jacobi(scalar, network, self._ordered(z), context)
        elif way == "column by column" or not isinstance(network, TriangularNetwork):
            return super().to_data_columns(z, context)
        elif way == "one pass":
            x, log_det = self.to_data_in_jax(network, self._ordered(z), context)
        else:
            x, log_det = native.to_data(network, scalar, self._ordered(z), context, self.to_data_in_jax)
        return self._restored(x), log_det

    @property
    def to_base_in_jax(self) -> native.Pure:
        """The layer without its order, as the kernels' counterpart: a function of network, rows and contexts."""
        return partial(_to_base, self.scalar)

    @property
    def to_data_in_jax(self) -> native.Pure:
        """As `to_base_in_jax`, back.

        So many columns wait for each other: small groups cost less to run, few groups less to compile.
        """
        return partial(one_pass, self.scalar, max(self.scalar.together, int(0.7 * self.dim**0.5)))

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether the scalar map can't be trained from zeros."""
        return self.scalar.training_start() is not None

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """Where the network still says nothing, let it say what training can start from."""
        conditioner = ready_to_train(self.conditioner, self.scalar.training_start())
        return eqx.tree_at(lambda layer: layer.conditioner, self, conditioner)

    def dependence(self) -> np.ndarray:
        pattern = self.conditioner.dependence() | np.eye(self.dim, dtype=bool)
        if self.order is None:
            return pattern
        place = np.argsort(np.asarray(self.order))
        return pattern[np.ix_(place, place)]

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
            "upper triangle": cls(key, 4, 1, hidden=(9,), activation="tanh", order=[3, 2, 1, 0], start="random"),
            "an order of its own": cls(key, 3, hidden=(7,), activation="tanh", order=[1, 2, 0], start="random"),
        }
        for name, network in ResidualMaskedMLP.examples(key).items():
            if network.parameters == Affine().parameters:
                cases[f"residual, {name}"] = cls.of(network, Affine())
        for name, scalar in Affine.examples().items():
            cases[f"scale {name}"] = cls(key, 2, 1, hidden=(6,), scalar=scalar, activation="tanh", start="random")
        return cases


def _to_base(scalar: ScalarMap, network: TriangularNetwork, x: Array, context: Array | None) -> tuple[Array, Array]:
    """Many rows to base: x (dim, n), context (c, n) to z (dim, n), log_det (n,)."""
    theta = columns(network, x, context)
    z, log_slope = scalar.to_base(x, jnp.moveaxis(theta, 1, -1))
    return z, jnp.sum(log_slope, axis=0)
