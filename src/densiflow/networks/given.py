"""A network made of numbers that are given instead of drawn."""

from collections.abc import Sequence
from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from densiflow.errors import ShapeError

T = TypeVar("T", bound=eqx.Module)


def with_arrays(blank: T, **given: Sequence[ArrayLike]) -> T:
    """The network `blank`, whose arrays are shapes only, with the tuples of arrays of those names filled in.

    Raises `ShapeError` where they are not of the network's shapes. They take the network's floating type.
    """
    filled = {}
    for name, arrays in given.items():
        wanted = getattr(blank, name)
        shapes, seen = [leaf.shape for leaf in wanted], [np.shape(array) for array in arrays]
        if shapes != seen:
            raise ShapeError(f"{name} must have the shapes {shapes}, got {seen}")
        if wanted:  # an empty tuple is no node that could be replaced
            filled[name] = tuple(jnp.asarray(array, leaf.dtype) for array, leaf in zip(arrays, wanted, strict=True))
    return eqx.tree_at(lambda network: [getattr(network, name) for name in filled], blank, list(filled.values()))
