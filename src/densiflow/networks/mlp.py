"""A plain multilayer perceptron: the conditioner of coupling layers, the embedding of contexts."""

from itertools import pairwise
from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow.arguments import check_offered
from densiflow.errors import ArgumentError
from densiflow.networks.activations import activation, gain
from densiflow.networks.masked_mlp import Start
from densiflow.precision import float_dtype


@final
class MLP(eqx.Module):
    r"""A multilayer perceptron; the last product has no activation.

    .. math:: h_{l+1} = f(W_l\, h_l + b_l)

    ``start="identity"`` sets the last weights and biases to zero.

    Shapes: (inputs,) to (outputs,). Weights are (out, in). Raises `ArgumentError` for a width below 1, or an activation
    or start not offered.

    Source: Dinh et al. 2017, "Density estimation using Real NVP", section 3.2 (networks of coupling layers).

    >>> MLP(jax.random.key(0), inputs=3, outputs=2, hidden=(8,), start="random")(jnp.zeros(3)).shape
    (2,)
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        inputs: int,
        outputs: int,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: str = "relu",
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.inputs, self.outputs, self.activation = inputs, outputs, activation
        widths = (inputs, *hidden, outputs)
        if any(width < 1 for width in widths):
            raise ArgumentError(f"every width of a network must be at least 1, got {widths}")
        check_offered("start", start, Start)
        gains = [1.0, *[gain(activation)] * len(hidden)]
        if hidden:
            gains[-1] = 0.5
        gains[-1] *= start == "random"
        dtype = float_dtype(dtype)
        shapes = [(to, width) for width, to in pairwise(widths)]
        numbers = jax.random.normal(key, (sum(to * (width + 1) for to, width in shapes),), dtype)
        drawn = jnp.split(numbers, np.cumsum([to * (width + 1) for to, width in shapes])[:-1])
        self.weights = tuple(
            part[: to * width].reshape(to, width) * np.asarray(factor / np.sqrt(width), dtype)
            for part, (to, width), factor in zip(drawn, shapes, gains, strict=True)
        )
        # spread biases keep the kinks of networks of few inputs from all lying at zero
        spread = [0.5] * len(hidden) + [0.0]
        self.biases = tuple(
            part[to * width :] * np.asarray(size, dtype)
            for part, (to, width), size in zip(drawn, shapes, spread, strict=True)
        )

    def __call__(self, x: Array) -> Array:
        """(inputs,) to (outputs,)."""
        h = self.weights[0] @ x + self.biases[0]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            h = weight @ activation(self.activation)(h) + bias
        return h

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Networks with and without a hidden layer."""
        return {
            "two hidden layers": cls(key, 3, 4, hidden=(5, 6), activation="tanh", start="random"),
            "no hidden layer": cls(key, 2, 3, hidden=(), start="random"),
            "one input": cls(key, 1, 1, hidden=(4,), activation="silu"),
        }
