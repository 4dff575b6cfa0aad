"""The coupling bijection: some columns pass, the others are mapped with parameters read from those that pass."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow import native
from densiflow.arguments import check_count
from densiflow.bijections.base import Bijection
from densiflow.errors import ArgumentError
from densiflow.networks.conditioner import ready_to_train
from densiflow.networks.masked_mlp import Start
from densiflow.networks.mlp import MLP
from densiflow.scalars.affine import Affine
from densiflow.scalars.base import ScalarMap


@final
class Coupling(Bijection):
    r"""Let the columns P pass, and map every other column by a scalar map with parameters read from P and the context.

    .. math:: x_P = z_P, \qquad x_i = \tau(z_i;\, \theta_i(z_P, c)) \;\text{ for } i \notin P, \qquad
              \log\left|\det\right|_\text{to base} = \sum_{i \notin P} \log \frac{dz_i}{dx_i}

    Both directions cost one pass of a plain network. With a shift this is NICE's additive coupling, with the affine
    map RealNVP's, with a spline that of neural spline flows.

    ``passing`` names the columns P: a number d for the first d, or the columns themselves, counted from 0; None is
    the first half, rounded up.

    Shapes: ``x, z`` (dim,), ``context`` (context_dim,). Raises `ArgumentError` for fewer than two columns, or P that
    holds none, all, or something that is no column.

    Source: Dinh et al. 2015, "NICE", section 3.2; Dinh et al. 2017, "Density estimation using Real NVP", eq. 4 to 8.

    >>> import jax
    >>> layer = Coupling(jax.random.key(0), dim=3, passing=1, start="random")
    >>> x = jnp.array([0.3, -1.2, 0.5])
    >>> z, _ = layer.to_base(x)
    >>> bool(z[0] == x[0]), bool(jnp.allclose(layer.to_data(z)[0], x, atol=1e-5))
    (True, True)
    """

    conditioner: MLP
    scalar: ScalarMap
    passing: tuple[int, ...] = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        dim: int,
        context_dim: int = 0,
        *,
        passing: int | Sequence[int] | None = None,
        hidden: tuple[int, ...] = (64, 64),
        activation: str = "relu",
        scalar: ScalarMap | None = None,
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim = dim, context_dim
        self.passing = passing_columns(passing, dim)
        self.scalar = Affine() if scalar is None else scalar
        self.conditioner = MLP(
            key,
            len(self.passing) + context_dim,
            (dim - len(self.passing)) * self.scalar.parameters,
            hidden=tuple(hidden),
            activation=activation,
            start=start,
            dtype=dtype,
        )

    @property
    def _passing(self) -> np.ndarray:
        return np.array(self.passing)

    @property
    def _mapped(self) -> np.ndarray:
        """The columns that do not pass."""
        return np.setdiff1d(np.arange(self.dim), self._passing)

    def _theta(self, passed: Array, context: Array | None) -> Array:
        """The parameters of the other columns (dim - d, parameters)."""
        seen = passed if context is None else jnp.concatenate([passed, context])
        return self.conditioner(seen).reshape(-1, self.scalar.parameters)

    def _joined(self, passed: Array, mapped: Array) -> Array:
        places = np.argsort(self.order)
        row = jnp.concatenate([passed, mapped])
        return row if np.array_equal(places, np.arange(self.dim)) else row[places]

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        passed = x[self._passing]
        z, log_slope = self.scalar.to_base(x[self._mapped], self._theta(passed, context))
        return self._joined(passed, z), jnp.sum(log_slope)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        passed = z[self._passing]
        x, log_slope = self.scalar.to_data(z[self._mapped], self._theta(passed, context))
        return self._joined(passed, x), jnp.sum(log_slope)

    @property
    def order(self) -> tuple[int, ...]:
        """The columns that pass, then the others."""
        return (*self.passing, *self._mapped.tolist())

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        own = x[np.array(self.order)]
        z, log_det = native.to_base(self.conditioner, self.scalar, own, context, self.to_base_in_jax)
        return z[np.argsort(self.order)], log_det

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        own = z[np.array(self.order)]
        x, log_det = native.to_data(self.conditioner, self.scalar, own, context, self.to_data_in_jax)
        return x[np.argsort(self.order)], log_det

    @property
    def to_base_in_jax(self) -> native.Pure:
        """The layer without its order, as the kernels' counterpart: a function of network, rows and contexts."""
        return partial(_mapped_rows, self.scalar.to_base, len(self.passing))

    @property
    def to_data_in_jax(self) -> native.Pure:
        """As `to_base_in_jax`, back."""
        return partial(_mapped_rows, self.scalar.to_data, len(self.passing))

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether the scalar map can't be trained from zeros."""
        return self.scalar.training_start() is not None

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """Where the network still says nothing, let it say what training can start from."""
        conditioner = ready_to_train(self.conditioner, self.scalar.training_start())
        return eqx.tree_at(lambda layer: layer.conditioner, self, conditioner)

    def dependence(self) -> np.ndarray:
        pattern = np.eye(self.dim, dtype=bool)
        pattern[np.ix_(self._mapped, self._passing)] = True
        return pattern

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "two columns": cls(key, 2, hidden=(8,), activation="tanh", start="random"),
            "all but one pass": cls(key, 5, passing=4, hidden=(6,), activation="silu", start="random"),
            "one passes, context": cls(key, 4, 2, passing=1, hidden=(6,), activation="tanh", start="random"),
            "scattered columns": cls(key, 5, 1, passing=(3, 0), hidden=(7, 4), activation="gelu", start="random"),
            "no hidden layer": cls(key, 3, 1, passing=2, hidden=(), start="random"),
        }


def _mapped_rows(
    scalar: Callable[[Array, Array], tuple[Array, Array]], passing: int, network: MLP, x: Array, context: Array | None
) -> tuple[Array, Array]:
    """Many rows whose first columns pass: x (dim, n), context (c, n) to z (dim, n), log_det (n,), either way."""
    seen = x[:passing] if context is None else jnp.concatenate([x[:passing], context])
    theta = jax.vmap(network, in_axes=1, out_axes=1)(seen).reshape(len(x) - passing, -1, x.shape[1])
    z, log_slope = scalar(x[passing:], jnp.moveaxis(theta, 1, -1))
    return jnp.concatenate([x[:passing], z]), jnp.sum(log_slope, axis=0)


def passing_columns(passing: int | Sequence[int] | None, dim: int) -> tuple[int, ...]:
    """The columns that pass, sorted; `ArgumentError` unless at least one passes and at least one does not.

    >>> passing_columns(2, dim=3), passing_columns([2, 0], dim=4)
    ((0, 1), (0, 2))
    """
    if dim < 2:
        raise ArgumentError(
            f"a coupling layer needs at least 2 columns, one to pass and one to map, got dim={dim}: for one column "
            f"take an autoregressive flow"
        )
    if passing is None or isinstance(passing, int | np.integer):
        count = (dim + 1) // 2 if passing is None else passing
        check_count("passing", count, 1)
        columns = list(range(int(count)))
    else:
        columns = sorted(int(column) for column in passing)
    known = len(set(columns)) == len(columns) and all(0 <= column < dim for column in columns)
    if not (known and 0 < len(columns) < dim):
        raise ArgumentError(
            f"passing must name from 1 to {dim - 1} of the columns 0 .. {dim - 1}, each once, or how many of the "
            f"first, got {passing}"
        )
    return tuple(columns)
