"""Equal layers stored together and scanned, so that compile time does not grow with depth."""

from collections.abc import Callable, Sequence
from typing import Any, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.bijections import in_one_call
from densiflow.bijections.base import Bijection
from densiflow.bijections.chain import Chain, check_meeting
from densiflow.bijections.permute import Permute
from densiflow.errors import ArgumentError
from densiflow.spaces import Space

Step = Callable[[Bijection, Array], tuple[Array, Array]]


@final
class Stack(Bijection):
    r"""The chain of `depth` layers of one structure, listed from data to base.

    .. math:: z = f_T(\dots f_1(x)), \qquad \log|\det| = \sum_t \log|\det f_t'|

    The layers' arrays are stacked along a leading axis when the stack is built, and one `scan` runs over it, or one
    call of a kernel that knows the layers: a program for ten layers is no larger than for two.

    Shapes: every array of ``layers`` has a leading axis of length ``depth``. Raises `ArgumentError` where the
    layers differ in structure, or one does not take the rows that the one before it lands on.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.1.

    >>> from densiflow.bijections import Elementwise
    >>> Stack.of([Elementwise([0.0], [2.0]), Elementwise([1.0], [3.0])]).to_data(jnp.array([1.0]))[0].tolist()
    [8.0]
    """

    layers: Bijection  # one layer whose arrays carry a leading axis (depth, ...)
    depth: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, layers: Bijection, depth: int) -> None:
        if depth > 1:
            check_meeting(layers, layers, "a layer of the stack", "the next one")
        self.layers = layers
        self.depth = depth
        self.dim = layers.dim
        self.context_dim = layers.context_dim

    @classmethod
    def of(cls, layers: Sequence[Bijection]) -> Self:
        """Stack separate layers of one structure."""
        if not layers:
            raise ArgumentError("a stack needs at least one layer, got none")
        kinds = [_kind(layer) for layer in layers]
        for t, kind in enumerate(kinds):
            if kind != kinds[0]:
                raise ArgumentError(f"layers of a stack must be equal in structure; layer {t} differs from layer 0")
        return cls(jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers), len(layers))

    def unstacked(self) -> list[Bijection]:
        """The layers one by one, from data to base."""
        return [jax.tree.map(lambda leaf, t=t: leaf[t], self.layers) for t in range(self.depth)]

    def _scan(self, step: Step, value: Array, log_det: Array, reverse: bool) -> tuple[Array, Array]:
        def body(carry: tuple[Array, Array], layer: Bijection) -> tuple[tuple[Array, Array], None]:
            value, log_det = step(layer, carry[0])
            return (value, carry[1] + log_det), None

        return lax.scan(body, (value, log_det), self.layers, reverse=reverse)[0]

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        zero = jnp.zeros((), x.dtype)
        return self._scan(lambda layer, x: layer.to_base(x, context), x, zero, reverse=False)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        zero = jnp.zeros((), z.dtype)
        return self._scan(lambda layer, z: layer.to_data(z, context), z, zero, reverse=True)

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        if (done := in_one_call.to_base(self.layers, self.depth, x, context)) is not None:
            return done
        zeros = jnp.zeros(x.shape[1:], x.dtype)
        return self._scan(lambda layer, x: layer.to_base_columns(x, context), x, zeros, reverse=False)

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        if (done := in_one_call.to_data(self.layers, self.depth, z, context)) is not None:
            return done
        zeros = jnp.zeros(z.shape[1:], z.dtype)
        return self._scan(lambda layer, z: layer.to_data_columns(z, context), z, zeros, reverse=True)

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether the layers are set from data."""
        return self.layers.needs_data

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """Set each layer from the rows as the layers before it leave them."""
        if not self.needs_data:
            return self
        done = []
        for layer in self.unstacked():
            done.append(layer.initialise(x, context))
            x, _ = done[-1].to_base_rows(x, context)
        return type(self).of(done)

    @property
    def domain(self) -> Space:
        return self.layers.domain

    @property
    def codomain(self) -> Space:
        return self.layers.codomain

    def dependence(self) -> np.ndarray | None:
        return Chain(self.unstacked()).dependence()

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        from densiflow.bijections.autoregressive import Autoregressive

        def layer(key: Array, permutation: list[int], context_dim: int) -> Bijection:
            dim = len(permutation)
            flow = Autoregressive(key, dim, context_dim, hidden=(9,), activation="tanh", start="random")
            return Chain([flow, Permute(permutation)])

        keys = jax.random.split(key, 3)
        return {
            "permutations that differ": cls.of(
                [layer(keys[t], order, 0) for t, order in enumerate(([1, 2, 0], [2, 1, 0], [0, 1, 2]))]
            ),
            "one column, context": cls.of([layer(k, [0], 2) for k in keys]),
            "depth one": cls.of([layer(keys[0], [1, 0], 1)]),
        }


def _kind(layer: Bijection) -> tuple[Any, list[tuple[Any, Any]]]:
    """What must agree between layers: their structure, and the shape and type of each array."""
    leaves, structure = jax.tree.flatten(layer)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
