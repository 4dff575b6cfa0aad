"""ResMADE for variables that differ: each reads and gives as many numbers as it needs."""

from collections.abc import Sequence
from typing import Any, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow.errors import ArgumentError
from densiflow.networks import masks
from densiflow.networks.activations import activation, gain
from densiflow.precision import float_dtype


@final
class UnevenMaskedMLP(eqx.Module):
    r"""A masked network of residual blocks whose inputs and outputs belong to variables, some to each.

    .. math:: h_0 = W_0 x + C c + b_0, \qquad h_t = h_{t-1} + V_t\, f(U_t f(h_{t-1}) + a_t) + b_t, \qquad
              \theta = W f(h_T) + S x + b

    ``reads[i]`` is the variable, counted from 0, that input i belongs to, ``gives[j]`` the one that output j does.
    Outputs of variable v read the inputs of variables before v and the whole context. Units of the hidden layers
    have sorted degrees, spread evenly over the variables; the masks are derived from them in every call. At first
    the last weights and biases are zero, and the result with them.

    Shapes: ``x`` (len(reads),), ``context`` (context_dim,), result (len(gives),). Weights are (out, in).
    Raises `ArgumentError` for a width or number of blocks below 1, no outputs, or an activation not offered.

    Source: Germain et al. 2015, "MADE"; Nash and Durkan 2019, "Autoregressive energy machines" (ResMADE).

    >>> network = UnevenMaskedMLP(jax.random.key(0), reads=(0, 0, 0, 1), gives=(0, 0, 0, 1, 1), width=8)
    >>> network(jnp.ones(4)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    skip: Array
    context_weights: tuple[Array, ...]
    reads: tuple[int, ...] = eqx.field(static=True)
    gives: tuple[int, ...] = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    blocks: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        reads: Sequence[int],
        gives: Sequence[int],
        context_dim: int = 0,
        *,
        width: int = 128,
        blocks: int = 2,
        activation: str = "silu",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.reads, self.gives = tuple(map(int, reads)), tuple(map(int, gives))
        self.context_dim, self.width, self.blocks, self.activation = context_dim, width, blocks, activation
        self._check_arguments()
        dtype = float_dtype(dtype)
        drawn = [
            _drawn(k, mask, scale, dtype)
            for k, mask, scale in zip(jax.random.split(key, 2 * blocks + 2), self._masks(), self._scales(), strict=True)
        ]
        bias_key, context_key = jax.random.split(jax.random.fold_in(key, 1))
        spread = 0.5 * jax.random.normal(bias_key, (2 * blocks + 1, width), dtype)
        self.weights, self.biases = tuple(drawn), (*spread, jnp.zeros(len(self.gives), dtype))
        self.skip = jnp.zeros((len(self.gives), len(self.reads)), dtype)
        of_context = jax.random.normal(context_key, (width, context_dim), dtype) / np.sqrt(max(context_dim, 1))
        self.context_weights = (of_context.astype(dtype),) if context_dim else ()

    def _check_arguments(self) -> None:
        if self.width < 1 or self.blocks < 1:
            raise ArgumentError(f"width and blocks must be at least 1, got {self.width}, {self.blocks}")
        if not self.gives or min(*self.gives, 0) < 0 or self.context_dim < 0:
            raise ArgumentError(f"a network needs outputs of variables counted from 0, got {self.gives}")
        activation(self.activation)

    def degrees(self) -> tuple[masks.Degrees, masks.Degrees, masks.Degrees]:
        """Of the inputs, of the units of every hidden layer, and of the outputs."""
        variables = max(self.gives) + 1
        inputs = np.asarray(self.reads, np.int32) + 1
        return inputs, masks.hidden_degrees(variables, self.context_dim, self.width), np.asarray(self.gives, np.int32)

    def _masks(self) -> list[np.ndarray]:
        """Of each product's weights, in the order of `weights`."""
        inputs, hidden, outputs = self.degrees()
        block = masks.mask(hidden, hidden)
        return [masks.mask(hidden, inputs), *[block] * (2 * self.blocks), masks.mask(outputs, hidden)]

    def _scales(self) -> list[float]:
        """Of the initial weights of each product; those that end a block are small, so that depth adds up slowly."""
        bent = gain(self.activation)
        return [1.0, *[bent, bent / (4 * self.blocks)] * self.blocks, 0.0]

    def __call__(self, x: Array, context: Array | None = None) -> Array:
        """The parameters of every variable, one after the other."""
        f = activation(self.activation)
        weights = [w * m for w, m in zip(self.weights, self._masks(), strict=True)]
        h = weights[0] @ x + self.biases[0]
        if context is not None and self.context_weights:
            h = h + self.context_weights[0] @ context
        for t in range(1, 2 * self.blocks, 2):
            inner = f(weights[t] @ f(h) + self.biases[t])
            h = h + weights[t + 1] @ inner + self.biases[t + 1]
        inputs, _, outputs = self.degrees()
        return weights[-1] @ f(h) + (self.skip * masks.mask(outputs, inputs)) @ x + self.biases[-1]

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Awkward members of the class, by name."""
        return {
            "one variable, context": cls(key, (), (0, 0), 2, width=3, blocks=1),
            "uneven variables": cls(key, (0, 0, 0, 1, 2), (0, 0, 0, 1, 1, 2), width=8),
        }


def _drawn(key: Array, mask: np.ndarray, scale: float, dtype: Any) -> Array:
    """Weights by how many numbers each unit reads."""
    spread = scale * mask / np.sqrt(np.maximum(mask.sum(axis=1, keepdims=True), 1))
    return jax.random.normal(key, mask.shape, dtype) * jnp.asarray(spread, dtype)
