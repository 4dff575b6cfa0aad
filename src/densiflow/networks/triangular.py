"""Many rows through a masked network at once: only the part of each product that lies inside its mask.

Degrees are sorted, so a mask is a staircase. The units of a layer are cut into a few parts; each part is multiplied
by one block of the weights, as high as what it can reach, and half of a wide product is never computed. Rows lie side
by side, (units, n): a part of a layer is then one piece of memory.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.networks import masks
from densiflow.networks.conditioner import AutoregressiveConditioner

PARTS = 4  # of a wide layer; more of them leave products too thin to be fast
WIDE = 256  # units

Product = Callable[[int, Any], Any]  # a product's number and what it reads to what it gives


class Ends(NamedTuple):
    """The degrees on both sides of one masked product."""

    reader: masks.Degrees
    read: masks.Degrees


@runtime_checkable
class TriangularNetwork(AutoregressiveConditioner, Protocol):
    """A network made of masked products whose units are sorted by degree."""

    weights: tuple[Array, ...]

    def ends(self) -> list[Ends]:
        """The degrees on both sides of each product, in the order of `weights`."""

    def added(self, k: int, context: Array | None) -> Array:
        """What product k adds to whatever it reads: bias and context; (units,), or (units, n) for contexts (c, n)."""

    def through(self, product: Product, x: Any) -> Any:
        """Everything but the products: what the outputs are, given a function for ``product(k, units)``.

        Units may be any tree of arrays, such as the parts of a layer.
        """


def with_context(
    bias: Array, weight: Array, context: Array, bend: Callable[[Array], Array], shift: Array | None
) -> Array:
    """A bias and what the context gives, bent first if there is a `shift`: (units,), or (units, n) for (c, n)."""
    each = (-1,) + (1,) * (context.ndim - 1)
    given = weight @ context
    if shift is not None:
        given = bend(given + shift.reshape(each))
    return given + bias.reshape(each)


def one_row(network: TriangularNetwork, x: Array, context: Array | None) -> Array:
    """The parameters of every column of one row: x (dim,), context (c,) to (dim, parameters). The plain way."""
    ends = network.ends()

    def product(k: int, units: Array) -> Array:
        block = masked(network.weights[k], ends[k], slice(None), slice(None))
        return network.added(k, context) if block is None else block @ units + network.added(k, context)

    outputs: Array = network.through(product, x)
    return outputs.reshape(network.dim, network.parameters)


def columns(network: TriangularNetwork, x: Array, context: Array | None) -> Array:
    """The parameters of every column of many rows: x (dim, n), context (c, n) to (dim, parameters, n)."""
    ends = network.ends()

    def product(k: int, parts: list[Array]) -> list[Array]:
        return _product(network.weights[k], ends[k], as_columns(network.added(k, context)), parts)

    outputs = network.through(product, [x[first:end] for first, end in _cuts(ends[0].read)])
    return _joined(outputs).reshape(network.dim, network.parameters, x.shape[1])


def _product(weight: Array, ends: Ends, added: Array, parts: list[Array]) -> list[Array]:
    """The parts of the readers, given the parts of what they read."""
    given = []  # (first reader reached, what it and all after it are given)
    for (first, end), part in zip(_cuts(ends.read), parts, strict=True):
        reached = int(np.searchsorted(ends.reader, ends.read[first]))
        block = masked(weight, ends, slice(reached, None), slice(first, end))
        if block is not None:
            given.append((reached, block @ part))
    n = parts[0].shape[1]
    return [_sum(added, given, first, end, n) for first, end in _cuts(ends.reader)]


def _sum(added: Array, given: list[tuple[int, Array]], first: int, end: int, n: int) -> Array:
    """What the readers first .. end - 1 are given in all (end - first, n)."""
    steps = sorted({first, end, *(reached for reached, _ in given if first < reached < end)})
    pieces = []
    for low, high in pairwise(steps):
        total = added[low:high]
        for reached, values in given:
            if reached <= low:
                total = total + values[low - reached : high - reached]
        pieces.append(jnp.broadcast_to(total, (high - low, n)))
    return _joined(pieces)


def masked(weight: Array, ends: Ends, readers: slice, read: slice) -> Array | None:
    """A block of the weights, with zeros wherever the mask has them; None where it has nothing else."""
    mask = masks.mask(ends.reader[readers], ends.read[read])
    if not mask.any():
        return None
    block = weight[readers, read]
    return block if mask.all() else jnp.where(mask, block, 0)


def _cuts(degrees: masks.Degrees) -> list[tuple[int, int]]:
    """Where the parts of a layer begin and end; units of one degree are never parted."""
    if len(degrees) < WIDE:
        return [(0, len(degrees))]
    wanted = degrees[len(degrees) * np.arange(1, PARTS) // PARTS]
    inner = np.searchsorted(degrees, wanted)
    return list(pairwise(sorted({0, *inner.tolist(), len(degrees)})))


def _joined(pieces: list[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)


def as_columns(added: Array) -> Array:
    """What a product adds, (units, 1) where it is the same for every row."""
    return added if added.ndim == 2 else added[:, None]
