"""Any masked network that is autoregressive in some order of the columns, sorted into ours.

Libraries give hidden units their degrees by rules of their own. What counts is what a unit reads: its degree is the
last place, in the order of the columns, that any path through the masks leads to. Sorted by it, every mask of theirs
lies inside a mask of ours; weights that theirs leaves out are zero.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import MigrationError
from densiflow.migrate.description import Array, Network

Places = NDArray[np.intp]


def sorted_network(network: Network, dim: int, where: str) -> tuple[Places, list[tuple[int, ...]], Network]:
    """The order of the columns, the hidden layers' counts of each degree, and the network sorted by both.

    Raises `MigrationError` where the masks are not autoregressive in any order.
    """
    masks = [np.asarray(mask, bool) for mask in network["masks"]]
    reads, outputs = _reads(masks, network["kind"])
    order = _order(np.any(outputs.reshape(dim, -1, dim), axis=1), where)
    place = np.argsort(order)
    degrees = [(layer * (place + 1)).max(axis=1, initial=0) for layer in reads]
    if network["kind"] == "residual":
        _check_shared(degrees[0], masks[1:-1], where)
    units = [np.argsort(layer, kind="stable") for layer in degrees]
    each = len(masks[-1]) // dim
    rows = (order[:, None] * each + np.arange(each)).ravel()
    sides = [order, *units, rows]
    weights, biases, context_weights = [], [], []
    for k, (read, reader) in enumerate(pairwise(sides)):
        weights.append(np.where(masks[k], network["weights"][k], 0)[reader][:, read])
        biases.append(np.asarray(network["biases"][k])[reader])
    for place_of_context, matrix in zip(_context_sides(network, sides), network["context_weights"], strict=True):
        context_weights.append(np.asarray(matrix)[place_of_context])
    counts = [tuple(np.bincount(layer, minlength=dim + 1).tolist()) for layer in degrees]
    return order, counts, {
        **network,
        "weights": weights,
        "masks": [],
        "biases": biases,
        "context_weights": context_weights,
        "context_biases": [np.asarray(bias)[sides[1]] for bias in network["context_biases"]],
    }  # fmt: skip


def _reads(masks: list[Array], kind: str) -> tuple[list[Array], Array]:
    """What columns the units of each hidden layer read, through any path, and what the outputs read."""
    reads = [masks[0]]
    for mask in masks[1:-1]:
        reads.append(mask @ reads[-1])
    if kind == "residual":  # what one block writes, the next reads: all layers read what the last stream holds
        stream = masks[0]
        for first, second in zip(masks[1:-1:2], masks[2:-1:2], strict=True):
            stream = stream | (second @ (first @ stream))
        reads = [stream] * (len(masks) - 1)
    if len(masks) == 1:
        return [], masks[0]
    return reads, masks[-1] @ reads[-1]


def _context_sides(network: Network, sides: list[Places]) -> list[Places]:
    """The order of the rows of each context product."""
    count = len(network["context_weights"])
    if network["kind"] == "residual":
        return [sides[1]] * count  # all layers share one
    return sides[1 : count + 1]


def _order(reads: Any, where: str) -> Places:
    """An order of the columns in which each reads earlier ones only; the given one where it will do."""
    order: list[int] = []
    while len(order) < len(reads):
        ready = (i for i in range(len(reads)) if i not in order and set(np.flatnonzero(reads[i])) <= set(order))
        following = next(ready, None)
        if following is None:
            raise MigrationError(f"{where}: the network's masks are not autoregressive in any order of the columns")
        order.append(following)
    return np.asarray(order)


def _check_shared(degrees: Array, masks: list[Array], where: str) -> None:
    """In a residual network a unit keeps its degree through all blocks."""
    if any(np.any(mask & (degrees[:, None] < degrees)) for mask in masks):
        raise MigrationError(f"{where}: the degrees of the residual blocks differ from block to block")
