"""The networks that the kernels know, and what they are told of each."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.networks.masked_mlp import MaskedMLP
from densiflow.networks.mlp import MLP

Network = MaskedMLP | MLP
"""A masked network for all columns; or a plain one, which reads the columns that pass and then the context."""

ACTIVATIONS = ("relu", "tanh")  # in the kernels' own order
ARRAYS = 4  # of a product: its weights, its bias, the context's weights, its shift


def is_known(network: Any) -> bool:
    """Whether the kernels know the network: float32 and one of their activations."""
    return (
        isinstance(network, Network)
        and network.activation in ACTIVATIONS
        and all(array.dtype == jnp.float32 for array in jax.tree.leaves(network))
    )


def passing(network: Network, width: int) -> int:
    """How many columns it reads that pass, given the context's width: 0 of a masked network."""
    return 0 if isinstance(network, MaskedMLP) else network.inputs - width


def reaches(network: Network, width: int) -> list[np.ndarray]:
    """How many columns or units each row of each product reaches, from the first on; then how much of the context."""
    if isinstance(network, MaskedMLP):
        own = [np.searchsorted(ends.read, ends.reader, side="right") for ends in network.ends()]
        widths = [weight.shape[-1] for weight in network.context_weights]
    else:
        read = [passing(network, width), *(weight.shape[-1] for weight in network.weights[1:])]
        own = [np.full(weight.shape[-2], count) for weight, count in zip(network.weights, read, strict=True)]
        widths = [width]
    widths += [0] * (len(own) - len(widths))
    return [*own, *(np.full(len(rows), width) for rows, width in zip(own, widths, strict=True))]


def arrays(network: Network, width: int) -> list[Array]:
    """Of each product its weights (depth, out, in), bias (depth, out), context's weights (depth, out, c) and shift.

    The context's are empty where the product reads none, the shift where the context is not bent.
    """
    weights, biases = network.weights, network.biases
    contexts: tuple[Array, ...]
    shifts: tuple[Array, ...] = ()
    if isinstance(network, MaskedMLP):
        contexts, shifts = network.context_weights, network.context_biases
    else:
        own, of_context = jnp.split(weights[0], [passing(network, width)], axis=-1)
        weights, contexts = (own, *weights[1:]), (of_context,)
    contexts += tuple(jnp.zeros((*bias.shape, 0), jnp.float32) for bias in biases[len(contexts) :])
    shifts += tuple(jnp.zeros((len(bias), 0), jnp.float32) for bias in biases[len(shifts) :])
    return [array for product in zip(weights, biases, contexts, shifts, strict=True) for array in product]


def with_arrays(network: Network, listed: list[Array]) -> Network:
    """The network with other arrays, as `arrays` lists them."""
    weights, biases, contexts, shifts = (tuple(listed[i::ARRAYS]) for i in range(ARRAYS))
    if isinstance(network, MLP):
        whole = jnp.concatenate([weights[0], contexts[0]], axis=-1)
        return eqx.tree_at(lambda net: (net.weights, net.biases), network, ((whole, *weights[1:]), biases))
    contexts, shifts = contexts[: len(network.context_weights)], shifts[: len(network.context_biases)]
    parts = (weights, biases, contexts, shifts)
    return eqx.tree_at(lambda net: (net.weights, net.biases, net.context_weights, net.context_biases), network, parts)
