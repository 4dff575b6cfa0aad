"""Stacked autoregressive layers, and nothing but permutations between them, through one call of a compiled kernel."""

import jax.numpy as jnp
from jax import Array

from densiflow import native
from densiflow.bijections.autoregressive import Autoregressive
from densiflow.bijections.base import Bijection
from densiflow.bijections.chain import Chain
from densiflow.bijections.permute import Permute
from densiflow.bijections.ways import chosen_inversion
from densiflow.networks.masked_mlp import MaskedMLP

Rows = tuple[Array, Array]


def to_base(layers: Bijection, x: Array, context: Array | None) -> Rows | None:
    """The rows x (dim, n), of contexts (c, n), through layers stacked from data to base.

    None where the kernels don't know them.
    """
    if (known := _known(layers)) is None:
        return None
    layer, stacked = known
    return native.all_to_base(stacked, layer.scalar, x, context, layer.to_base_in_jax)


def to_data(layers: Bijection, z: Array, context: Array | None) -> Rows | None:
    """The rows z (dim, n) back through all layers, from the last to the first; None as in `to_base`."""
    if (known := _known(layers)) is None or chosen_inversion() != "auto":
        return None
    layer, stacked = known
    return native.all_to_data(stacked, layer.scalar, z, context, layer.to_data_in_jax)


def _known(layers: Bijection) -> tuple[Autoregressive, native.Layers] | None:
    """Stacked layers that do nothing but what `native.Layers` says; None for others."""
    match layers:
        case Chain(members=(Autoregressive(conditioner=MaskedMLP() as network) as layer, Permute(permutation=mixer))):
            return layer, native.Layers(network, _orders(layer.order, mixer))
        case _:
            return None


def _orders(order: Array | None, mixer: Array) -> Array:
    """Which of the columns before it each network reads as its own: orders and permutations (depth, dim) composed."""
    if order is None:
        return jnp.concatenate([jnp.arange(mixer.shape[1], dtype=mixer.dtype)[None], mixer])
    after = jnp.take_along_axis(jnp.argsort(order).astype(mixer.dtype), mixer, axis=1)
    between = jnp.take_along_axis(after[:-1], order[1:], axis=1)
    return jnp.concatenate([order[:1], between, after[-1:]])
