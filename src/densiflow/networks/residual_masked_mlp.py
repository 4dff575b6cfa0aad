"""ResMADE: a masked network of residual blocks."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from densiflow.arguments import check_offered
from densiflow.errors import ArgumentError
from densiflow.networks import masks
from densiflow.networks.activations import activation, gain
from densiflow.networks.given import with_arrays
from densiflow.networks.masked_mlp import ContextLayers, Start
from densiflow.networks.triangular import Ends, Product, one_row, with_context
from densiflow.precision import float_dtype


@final
class ResidualMaskedMLP(eqx.Module):
    r"""A masked network of residual blocks: parameters for column i read columns 1 .. i - 1 and the whole context.

    .. math:: h_0 = W_0 x + C_0 c + b_0, \qquad
              h_{t} = h_{t-1} + V_t\, f(U_t f(h_{t-1}) + C_t c + a_t) + b_t, \qquad
              \theta = W h_T + b

    Every product of `x` or `h` is masked. All units of one place share a degree through all blocks, so that adding
    a block's result to what it was given keeps the triangle. The context enters the first product, or with
    ``context_layers="all"`` every block too; with ``bends_context`` the first gets :math:`f(C_0 c + d)` instead.
    ``units`` says how many units have degree 0, 1, ... dim; None spreads them evenly. ``start="identity"`` sets the
    last weights and biases to zero.

    Shapes: ``x`` (dim,), ``context`` (context_dim,), result (dim, parameters). Weights are (out, in): the first
    product's, two a block, the last one's. Raises `ArgumentError` for a width or number of blocks below 1, units that
    do not add up, or an activation, start or context_layers not offered.

    Source: Nash and Durkan 2019, "Autoregressive energy machines" (ResMADE).

    >>> network = ResidualMaskedMLP(jax.random.key(0), dim=3, parameters=2, width=8, start="random")
    >>> network(jnp.zeros(3)).shape
    (3, 2)
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    context_weights: tuple[Array, ...]
    context_biases: tuple[Array, ...]
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    blocks: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    context_layers: ContextLayers = eqx.field(static=True)
    bends_context: bool = eqx.field(static=True)
    units: tuple[int, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        dim: int,
        context_dim: int = 0,
        *,
        parameters: int,
        width: int = 64,
        blocks: int = 2,
        activation: str = "relu",
        context_layers: ContextLayers = "all",
        bends_context: bool = False,
        units: tuple[int, ...] | None = None,
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim, self.parameters = dim, context_dim, parameters
        self.width, self.blocks, self.activation = width, blocks, activation
        self.context_layers, self.bends_context = context_layers, bool(bends_context) and context_dim > 0
        self.units = units
        self._check_arguments(start)
        dtype = float_dtype(dtype)
        products = [masks.mask(*ends) for ends in self.ends()]
        weight_key, context_key, bias_key = jax.random.split(key, 3)
        numbers = jax.random.normal(weight_key, (sum(mask.size for mask in products),), dtype)
        cuts = np.cumsum([mask.size for mask in products])[:-1]
        scales = self._scales(start)
        self.weights = tuple(
            values.reshape(mask.shape) * jnp.asarray(scale * mask / np.sqrt(np.maximum(mask.sum(1), 1))[:, None], dtype)
            for values, mask, scale in zip(jnp.split(numbers, cuts), products, scales, strict=True)
        )
        spread = 0.5 * jax.random.normal(bias_key, (2 * blocks + 1, width), dtype)
        self.biases = (*spread, jnp.zeros(dim * parameters, dtype))
        places = 0 if context_dim == 0 else 1 + (blocks if context_layers == "all" else 0)
        drawn = jax.random.normal(context_key, (places, width, context_dim), dtype)
        self.context_weights = tuple(drawn / np.sqrt(max(context_dim, 1)).astype(dtype))
        self.context_biases = (jnp.zeros(width, dtype),) if self.bends_context else ()

    @classmethod
    def of(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        context_weights: Sequence[ArrayLike] = (),
        context_biases: Sequence[ArrayLike] = (),
        **options: Any,
    ) -> Self:
        """The network of those numbers; ``options`` are the constructor's. Raises `ShapeError` where they don't fit."""
        blank = eqx.filter_eval_shape(partial(cls, **options), jax.random.key(0))
        return with_arrays(
            blank, weights=weights, biases=biases, context_weights=context_weights, context_biases=context_biases
        )

    def _scales(self, start: str) -> list[float]:
        """Of the initial weights of each product; those that end a block are small, so that depth adds up slowly."""
        bent = gain(self.activation)
        block = [bent, bent / np.sqrt(self.blocks)]
        return [1.0, *block * self.blocks, 0.0 if start == "identity" else 0.5]

    def _check_arguments(self, start: str) -> None:
        if self.dim < 1 or self.context_dim < 0:
            raise ArgumentError(
                f"dim must be at least 1 and context_dim at least 0, got {self.dim}, {self.context_dim}"
            )
        if self.width < 1 or self.blocks < 1:
            raise ArgumentError(f"width and blocks must be at least 1, got {self.width}, {self.blocks}")
        if self.units is not None and (sum(self.units) != self.width or len(self.units) != self.dim + 1):
            raise ArgumentError(
                f"units must say of the width {self.width} how many have degree 0 .. {self.dim}, got {self.units}"
            )
        check_offered("start", start, Start)
        check_offered("context_layers", self.context_layers, ContextLayers)
        activation(self.activation)

    def degrees(self) -> masks.Degrees:
        """The degrees of the units, the same in every layer."""
        if self.units is None:
            return masks.hidden_degrees(self.dim, self.context_dim, self.width)
        return masks.counted_degrees(self.units)

    def ends(self) -> list[Ends]:
        """The degrees on both sides of each product: the first, two a block, the last."""
        inner = self.degrees()
        first = Ends(inner, masks.input_degrees(self.dim))
        last = Ends(masks.output_degrees(self.dim, self.parameters), inner)
        return [first, *[Ends(inner, inner)] * (2 * self.blocks), last]

    def added(self, k: int, context: Array | None) -> Array:
        """What product k adds to whatever it reads: bias and context; (units,), or (units, n) for contexts (c, n)."""
        bias = self.biases[k]
        place = (k + 1) // 2
        ends_block = k > 0 and k % 2 == 0  # a block's first product takes the context, its second does not
        if context is None or ends_block or place >= len(self.context_weights):
            return bias
        shift = self.context_biases[0] if place == 0 and self.bends_context else None
        return with_context(bias, self.context_weights[place], context, activation(self.activation), shift)

    def through(self, product: Product, x: Any) -> Any:
        """The products with what a block adds to what it was given."""
        bend = partial(jax.tree.map, activation(self.activation))
        h = product(0, x)
        for t in range(1, self.blocks + 1):
            h = jax.tree.map(jnp.add, h, product(2 * t, bend(product(2 * t - 1, bend(h)))))
        return product(2 * self.blocks + 1, h)

    def __call__(self, x: Array, context: Array | None = None) -> Array:
        """The parameters of every column: (dim, parameters)."""
        return one_row(self, x, context)

    def dependence(self) -> np.ndarray:
        """(dim, dim) booleans: whether the parameters of column i read column j, through any path."""
        first, *_, last = (masks.mask(*ends) for ends in self.ends())
        return np.asarray((last @ first)[:: self.parameters])

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Networks narrower than their rows, of one column, and with counted units."""
        return {
            "narrower than dim - 1": cls(key, 6, parameters=2, width=3, activation="tanh", start="random"),
            "one column, context": cls(key, 1, 1, parameters=2, width=4, activation="silu", start="random"),
            "one block, context first": cls(
                key, 3, 2, parameters=1, width=7, blocks=1, context_layers="first", activation="sigmoid", start="random"
            ),
            "units counted, context bent": cls(
                key,
                3,
                2,
                parameters=2,
                width=6,
                activation="tanh",
                bends_context=True,
                units=(2, 0, 3, 1),
                start="random",
            ),
        }
