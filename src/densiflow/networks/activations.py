"""The activations a network may name. A name is static and saved; a function could be neither."""

from collections.abc import Callable
from typing import Literal

import jax
from jax import Array

from densiflow.arguments import check_offered

Activation = Literal[
    "relu", "tanh", "sigmoid", "silu", "gelu", "gelu_exact", "elu", "leaky_relu", "softplus", "identity"
]

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jax.numpy.tanh,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,  # by tanh
    "gelu_exact": lambda u: jax.nn.gelu(u, approximate=False),  # by erf
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,  # slope 0.01
    "softplus": jax.nn.softplus,
    "identity": lambda u: u,
}

# What keeps the variance of the units level from layer to layer: 1 / sqrt(E[f(u)^2]) for u standard normal.
_GAINS: dict[str, float] = {
    "relu": 1.414,
    "tanh": 1.593,
    "sigmoid": 1.846,
    "silu": 1.676,
    "gelu": 1.534,
    "gelu_exact": 1.534,
    "elu": 1.245,
    "leaky_relu": 1.414,
    "softplus": 1.042,
    "identity": 1.0,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The function of that name. Raises `ArgumentError` for another name."""
    check_offered("activation", name, Activation)
    return _FUNCTIONS[name]


def gain(name: str) -> float:
    """The factor on the initial weights that read units of this activation."""
    activation(name)
    return _GAINS[name]
