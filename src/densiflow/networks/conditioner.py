"""What a network must offer to stand in an autoregressive bijection, and where training starts it."""

from typing import Protocol, TypeVar, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

T = TypeVar("T")


@runtime_checkable
class AutoregressiveConditioner(Protocol):
    """A network whose parameters for column i read columns before i and the context: (dim,) to (dim, parameters)."""

    @property
    def dim(self) -> int:
        """Columns of a row."""

    @property
    def context_dim(self) -> int:
        """Width of the context; 0 takes none."""

    @property
    def parameters(self) -> int:
        """Numbers for each column."""

    def __call__(self, x: Array, context: Array | None = None) -> Array:
        """The parameters of every column."""

    def dependence(self) -> np.ndarray:
        """(dim, dim) booleans: whether the parameters of column i read column j."""


def saying(network: T, parameters: np.ndarray) -> T:
    """The network with the same `parameters` (parameters,) as biases of every column it gives some to."""
    last = network.biases[-1]  # type: ignore[attr-defined]
    biases = jnp.asarray(np.resize(parameters, last.shape), last.dtype)
    return eqx.tree_at(lambda network: network.biases[-1], network, biases)


def ready_to_train(network: T, parameters: np.ndarray | None) -> T:
    """The network saying what training can start from, if there is such a thing and it still says nothing at all."""
    last = (network.weights[-1], network.biases[-1])  # type: ignore[attr-defined]
    if parameters is None or any(np.any(np.asarray(numbers)) for numbers in last):
        return network
    return saying(network, parameters)
