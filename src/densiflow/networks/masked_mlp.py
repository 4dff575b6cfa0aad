"""MADE: one pass of a masked network gives every column its parameters."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, Self, final

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
from densiflow.networks.triangular import Ends, Product, one_row, with_context
from densiflow.precision import float_dtype

Start = Literal["identity", "random"]
ContextLayers = Literal["first", "all"]
Units = tuple[tuple[int, ...], ...]


@final
class MaskedMLP(eqx.Module):
    r"""A multilayer perceptron whose parameters for column i read columns 1 .. i - 1 and the whole context.

    .. math:: h_{l+1} = f\left((W_l \odot M_l)\, h_l + C_l\, c + b_l\right), \qquad
              M_l[j, k] = [\,\text{degree}_{l+1}(j) \ge \text{degree}_l(k)\,]

    The last product has no activation. The context enters the first product, or with ``context_layers="all"``
    every one, unmasked; with ``bends_context`` the first gets :math:`f(C_0\, c + d)` instead. Masks are derived from
    the widths and applied in every call, so no optimiser can undo them. ``units`` says for each hidden layer how many
    of its units have degree 0, 1, ... dim; None spreads them evenly. ``start="identity"`` sets the last weights and
    biases to zero.

    Shapes: ``x`` (dim,), ``context`` (context_dim,), result (dim, parameters). Weights are (out, in).
    Raises `ArgumentError` for widths below 1, units that do not add up to them, or an activation, start or
    context_layers not offered.

    Source: Germain et al. 2015, "MADE", eq. 8 to 13; sorted degrees make ``M`` block lower-triangular.

    >>> network = MaskedMLP(jax.random.key(0), dim=3, parameters=2, hidden=(8,), start="random")
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
    hidden: tuple[int, ...] = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    context_layers: ContextLayers = eqx.field(static=True)
    bends_context: bool = eqx.field(static=True)
    units: Units | None = eqx.field(static=True)

    def __init__(
        self,
        key: Array,
        dim: int,
        context_dim: int = 0,
        *,
        parameters: int,
        hidden: tuple[int, ...] = (64, 64),
        activation: str = "relu",
        context_layers: ContextLayers = "first",
        bends_context: bool = False,
        units: Units | None = None,
        start: Start = "identity",
        dtype: DTypeLike | None = None,
    ) -> None:
        self.dim, self.context_dim, self.parameters = dim, context_dim, parameters
        self.hidden, self.activation, self.context_layers = tuple(hidden), activation, context_layers
        self.bends_context, self.units = bool(bends_context) and context_dim > 0, units
        self._check_arguments(start)
        dtype = float_dtype(dtype)
        products = self._drawn(start)
        count = sum(mask.size + len(mask) * (width + 1) for mask, width, _, _ in products)
        numbers = jax.random.normal(key, (count,), dtype)  # all of them in one draw: it compiles in a third of the time
        weights, biases, context_weights = [], [], []
        used = 0
        for mask, width, scale, bias_scale in products:
            rows, columns = mask.shape
            cuts = used + np.cumsum([rows * columns, rows * width, rows])
            weight, context_weight, bias = (numbers[i:j] for i, j in zip((used, *cuts[:2]), cuts, strict=True))
            weights.append(weight.reshape(rows, columns) * jnp.asarray(scale, dtype)[:, None] * mask)
            biases.append(bias * bias_scale)
            if width:
                context_weights.append(context_weight.reshape(rows, width) * jnp.asarray(scale, dtype)[:, None])
            used = cuts[-1]
        self.weights, self.biases, self.context_weights = tuple(weights), tuple(biases), tuple(context_weights)
        self.context_biases = (jnp.zeros_like(biases[0]),) if self.bends_context else ()

    @classmethod
    def of(
        cls,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        context_weights: Sequence[ArrayLike] = (),
        context_biases: Sequence[ArrayLike] = (),
        **options: Any,
    ) -> Self:
        """The network of those numbers; ``options`` are the constructor's. Raises `ShapeError` where they don't fit.

        >>> MaskedMLP.of([[[0.0]]], [[3.0]], dim=1, parameters=1, hidden=())(jnp.zeros(1)).tolist()
        [[3.0]]
        """
        blank = eqx.filter_eval_shape(partial(cls, **options), jax.random.key(0))
        return with_arrays(
            blank, weights=weights, biases=biases, context_weights=context_weights, context_biases=context_biases
        )

    def _drawn(self, start: str) -> list[tuple[np.ndarray, int, np.ndarray, float]]:
        """For each product: its mask, the context's width in it, its initial scale by row, that of its bias."""
        degrees = self.degrees()
        products = []
        for layer, (read, reader) in enumerate(pairwise(degrees)):
            mask = masks.mask(reader, read)
            width = self.context_dim if self._reads_context(layer) else 0
            last = layer == len(degrees) - 2
            scale = 1.0 / np.sqrt(np.maximum(mask.sum(axis=1) + width, 1))  # by how many numbers each unit reads
            if last:
                scale *= 0.0 if start == "identity" else 0.5
            elif layer > 0:
                scale *= gain(self.activation)
            # spread biases keep the kinks of networks of few columns from all lying at zero
            products.append((mask, width, scale, 0.0 if last else 0.5))
        return products

    def _check_arguments(self, start: str) -> None:
        if self.dim < 1 or self.context_dim < 0:
            raise ArgumentError(
                f"dim must be at least 1 and context_dim at least 0, got {self.dim}, {self.context_dim}"
            )
        if any(width < 1 for width in self.hidden):
            raise ArgumentError(f"every hidden width must be at least 1, got {self.hidden}")
        sums = None if self.units is None else tuple(sum(counts) for counts in self.units)
        if self.units is not None and (sums != self.hidden or any(len(c) != self.dim + 1 for c in self.units)):
            raise ArgumentError(
                f"units must say for each of the widths {self.hidden} how many have degree 0 .. {self.dim}, "
                f"got {self.units}"
            )
        check_offered("start", start, Start)
        check_offered("context_layers", self.context_layers, ContextLayers)
        activation(self.activation)

    def degrees(self) -> list[masks.Degrees]:
        """The degrees of the inputs, of each hidden layer and of the outputs."""
        if self.units is None:
            hidden = [masks.hidden_degrees(self.dim, self.context_dim, width) for width in self.hidden]
        else:
            hidden = [masks.counted_degrees(counts) for counts in self.units]
        return [masks.input_degrees(self.dim), *hidden, masks.output_degrees(self.dim, self.parameters)]

    def _reads_context(self, layer: int) -> bool:
        return self.context_dim > 0 and (layer == 0 or self.context_layers == "all")

    def ends(self) -> list[Ends]:
        """The degrees on both sides of each product."""
        return [Ends(reader, read) for read, reader in pairwise(self.degrees())]

    def added(self, k: int, context: Array | None) -> Array:
        """What product k adds to whatever it reads: bias and context; (units,), or (units, n) for contexts (c, n)."""
        bias = self.biases[k]
        if context is None or not self._reads_context(k):
            return bias
        shift = self.context_biases[0] if k == 0 and self.bends_context else None
        return with_context(bias, self.context_weights[k], context, activation(self.activation), shift)

    def through(self, product: Product, x: Any) -> Any:
        """The products with the activation between them."""
        last = len(self.weights) - 1
        for k in range(last):
            x = jax.tree.map(activation(self.activation), product(k, x))
        return product(last, x)

    def __call__(self, x: Array, context: Array | None = None) -> Array:
        """The parameters of every column: (dim, parameters)."""
        return one_row(self, x, context)

    def dependence(self) -> np.ndarray:
        """(dim, dim) booleans: whether the parameters of column i read column j, through any path."""
        degrees = self.degrees()
        paths = np.eye(self.dim, dtype=bool)
        for layer in range(len(degrees) - 1):
            paths = masks.mask(degrees[layer + 1], degrees[layer]) @ paths
        return np.asarray(paths[:: self.parameters])

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Networks narrower than their rows, deep, without a hidden layer, and of one column."""
        return {
            "narrower than dim - 1": cls(key, 6, parameters=2, hidden=(3, 2), activation="tanh", start="random"),
            "no hidden layer, context": cls(key, 3, 2, parameters=1, hidden=(), start="random"),
            "one column, context": cls(key, 1, 1, parameters=2, hidden=(4,), activation="silu", start="random"),
            "units counted, context bent": cls(
                key,
                3,
                2,
                parameters=2,
                hidden=(4, 3),
                activation="tanh",
                bends_context=True,
                units=((1, 0, 2, 1), (2, 1, 0, 0)),
                start="random",
            ),
        }
