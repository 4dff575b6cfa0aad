"""The planar bijection: rows are moved along one direction, by how far they lie along another."""

import math
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow.bijections.base import Bijection
from densiflow.networks.masked_mlp import Start
from densiflow.networks.mlp import MLP
from densiflow.precision import float_dtype
from densiflow.roots import increasing_root

LEAST_SLOPE = 1e-3  # of the map along w


@final
class Planar(Bijection):
    r"""Move a row along `u` by a ridge function of w.z.

    .. math:: x = z + \hat u \tanh(w^\top z + b), \qquad
              \log\left|\det\right|_\text{to data} = \log\left(1 + \tanh'(w^\top z + b)\, w^\top \hat u\right)

    The map is invertible where :math:`w^\top \hat u > -1`. That holds by construction, for any numbers w, u and b:
    :math:`\hat u = u\, m(w^\top u) / (w^\top u)` with m increasing, m(0) = 0 and m > -1, so
    :math:`w^\top \hat u = m(w^\top u)`. (The paper moves u along w instead, and divides by the size of w.)

    `to_data` is closed. `to_base` needs one number, :math:`a = w^\top z`, the only root of the increasing function
    :math:`a + w^\top \hat u \tanh(a + b) - w^\top x`; it is found to the float's precision and differentiated
    through the implicit function. So planar flows score rows that they did not draw, and can be fitted to data.

    With a context, w, u and b are moved by what a plain network makes of it.

    Shapes: ``x, z, w, u`` (dim,), ``b`` (), ``context`` (context_dim,).

    Source: Rezende & Mohamed 2015, "Variational inference with normalizing flows", eq. 10 to 12 and appendix A.1.

    >>> layer = Planar(jax.random.key(0), dim=2, start="random")
    >>> x, log_det = layer.to_data(jnp.array([0.5, -1.0]))
    >>> bool(jnp.allclose(layer.to_base(x)[0], jnp.array([0.5, -1.0]), atol=1e-6))
    True
    """

    w: Array
    u: Array
    b: Array
    conditioner: MLP | None
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
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim = dim, context_dim
        dtype = float_dtype(dtype)
        numbers_key, network_key = jax.random.split(key)
        w, u, b = jnp.split(jax.random.normal(numbers_key, (2 * dim + 1,), dtype), [dim, 2 * dim])
        self.w, self.b = w / np.asarray(math.sqrt(dim), dtype), b[0]
        self.u = u if start == "random" else jnp.zeros_like(u)
        self.conditioner = None
        if context_dim:
            self.conditioner = MLP(
                network_key, context_dim, 2 * dim + 1, hidden=hidden, activation=activation, start=start, dtype=dtype
            )

    def _numbers(self, context: Array | None) -> tuple[Array, Array, Array, Array]:
        """The direction w, the move u, the offset b, and the size of w.u, above -1."""
        w, u, b = self.w, self.u, self.b
        if self.conditioner is not None and context is not None:
            by_context = self.conditioner(context)
            w, u, b = w + by_context[: self.dim], u + by_context[self.dim : -1], b + by_context[-1]
        free = w @ u
        ratio = _squash_ratio(free)
        return w, u * ratio, b, free * ratio

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        w, u, b, size = self._numbers(context)
        bend = jnp.tanh(w @ z + b)
        return z + u * bend, jnp.log1p(size * (1 - bend**2))

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        w, u, b, size = self._numbers(context)
        target = w @ x
        reach = jax.lax.stop_gradient(jnp.abs(size) + 4 * np.finfo(x.dtype).eps * (1 + jnp.abs(target)))
        middle = jax.lax.stop_gradient(target)
        a = increasing_root(lambda a: a + size * jnp.tanh(a + b) - target, middle - reach, middle + reach)
        bend = jnp.tanh(a + b)
        return x - u * bend, -jnp.log1p(size * (1 - bend**2))

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        steep = cls(key, 2, start="random")
        return {
            "one column": cls(key, 1, start="random"),
            "five columns": cls(key, 5, start="random"),
            "context": cls(key, 3, 2, hidden=(6,), activation="tanh", start="random"),
            "one column, context": cls(key, 1, 1, hidden=(4,), activation="silu", start="random"),
            "nearly folding": eqx.tree_at(lambda layer: layer.u, steep, -20 * steep.w),
            "no direction": eqx.tree_at(lambda layer: layer.w, steep, jnp.zeros(2)),
        }


SLOPE = -math.expm1(LEAST_SLOPE - 1)  # of m at 0


def _squash(free: Array) -> Array:
    r"""Give :math:`m(t) = \log(1 + s (e^t - 1))`: increasing, m(0) = 0, and never below LEAST_SLOPE - 1."""
    left, right = jnp.minimum(free, 0), jnp.maximum(free, 0)
    return jnp.where(
        free < 0, jnp.log1p(SLOPE * jnp.expm1(left)), right + jnp.log(SLOPE + (1 - SLOPE) * jnp.exp(-right))
    )


def _squash_ratio(free: Array) -> Array:
    """m(t) / t, by its series near 0."""
    small = jnp.abs(free) < 1e-3
    series = SLOPE * (1 + (1 - SLOPE) * free / 2 * (1 + (1 - 2 * SLOPE) * free / 3))
    return jnp.where(small, series, _squash(free) / jnp.where(small, 1, free))
