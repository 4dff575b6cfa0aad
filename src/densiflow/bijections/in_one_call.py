"""Stacked autoregressive and coupling layers, and nothing but permutations between them, in one call of a kernel."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow import native
from densiflow.bijections.autoregressive import Autoregressive
from densiflow.bijections.base import Bijection
from densiflow.bijections.chain import Chain
from densiflow.bijections.coupling import Coupling
from densiflow.bijections.permute import Permute
from densiflow.bijections.ways import chosen_inversion

Rows = tuple[Array, Array]


class Known(NamedTuple):
    """Layers that do nothing but what `native.Layers` says."""

    layers: native.Layers
    scalar: Any
    members: tuple[Autoregressive | Coupling, ...]


def to_base(layers: Bijection, depth: int, x: Array, context: Array | None) -> Rows | None:
    """The rows x (dim, n), of contexts (c, n), through layers stacked from data to base, `depth` of them.

    None where the kernels don't know them.
    """
    if (known := _known(layers, depth)) is None:
        return None
    pures = tuple(layer.to_base_in_jax for layer in known.members)
    return native.all_to_base(known.layers, known.scalar, x, context, pures)


def to_data(layers: Bijection, depth: int, z: Array, context: Array | None) -> Rows | None:
    """The rows z (dim, n) back through all layers, from the last to the first; None as in `to_base`."""
    if (known := _known(layers, depth)) is None or chosen_inversion() != "auto":
        return None
    pures = tuple(layer.to_data_in_jax for layer in known.members)
    return native.all_to_data(known.layers, known.scalar, z, context, pures)


def _known(layers: Bijection, depth: int) -> Known | None:
    """None for layers that hold anything else, or maps that differ."""
    members = layers.members if isinstance(layers, Chain) else (layers,)
    found = tuple(member for member in members if isinstance(member, Autoregressive | Coupling))
    others = [member for member in members if not isinstance(member, Autoregressive | Coupling | Permute)]
    maps = [(native.kernels_of(layer.scalar), layer.context_dim) for layer in found]
    if others or not found or any(of_layer != maps[0] for of_layer in maps):
        return None
    networks = tuple(layer.conditioner for layer in found)
    return Known(native.Layers(networks, _orders(members, depth)), found[0].scalar, found)


def _orders(members: tuple[Bijection, ...], depth: int) -> Array:
    """Which of the columns before it each layer reads as its own, and last of all those that z reads (depth + 1, dim).

    Where each column stands is followed from one layer to the next, through the orders that layers read columns in
    and the permutations between them: in all turns of the stack at once, since a layer begins anew.
    """
    dim = members[0].dim
    as_they_are = jnp.tile(jnp.arange(dim, dtype=jnp.int32), (depth, 1))
    at, read = as_they_are, []  # where each column is found, of those that the last layer gave or the turn began with
    for member in members:
        if isinstance(member, Permute):
            at = jnp.take_along_axis(at, member.permutation, axis=1)
        else:
            order = _order(member, as_they_are)
            read.append(jnp.take_along_axis(at, order, axis=1))
            at = jnp.argsort(order)
    began = jnp.concatenate([as_they_are[:1], at[:-1]])  # a turn begins as the one before it ended
    read[0] = jnp.take_along_axis(began, read[0], axis=1)
    by_layer = jnp.stack(read, axis=1).reshape(-1, dim)
    return jnp.concatenate([by_layer, at[-1:]]).astype(jnp.int32)


def _order(layer: Bijection, as_they_are: Array) -> Array:
    """The columns in the order that a layer reads them in, in each turn."""
    match layer:
        case Coupling(order=order):
            return jnp.broadcast_to(np.array(order, np.int32), as_they_are.shape)
        case Autoregressive(order=Array() as order):
            return order
        case _:
            return as_they_are
