"""Looking at another library's objects without importing it."""

from collections.abc import Callable
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np

from densiflow.errors import MigrationError
from densiflow.networks.activations import Activation, activation

_PROBE = np.linspace(-30.0, 30.0, 241, dtype=np.float32)  # far enough to tell relu from relu6


def is_a(thing: Any, *names: str) -> bool:
    """Whether the class of a thing, or one that it derives from, has one of these names."""
    return any(cls.__name__ in names for cls in type(thing).__mro__)


def numpy_of(tensor: Any) -> np.ndarray:
    """A tensor of any library as a numpy array."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
    return np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def refuse(where: str, what: str, instead: str) -> MigrationError:
    """The error for something that has no counterpart: where it is, what it is, what would do instead."""
    return MigrationError(f"{where}: {what} has no exact counterpart; {instead}")


def named_activation(function: Callable[[Any], Any], where: str, tensor: Callable[[np.ndarray], Any]) -> str:
    """The name under which we know another library's activation, found by what it does to some numbers.

    Names alone would not do: gelu, elu or leaky_relu mean different functions in different libraries.
    """
    seen = numpy_of(function(tensor(_PROBE)))
    for name in get_args(Activation):
        if seen.shape == _PROBE.shape and np.allclose(seen, activation(name)(jnp.asarray(_PROBE)), rtol=0, atol=1e-5):
            return name
    called = getattr(function, "__name__", None) or type(function).__name__
    raise refuse(where, f"the activation {called}", f"known: {', '.join(get_args(Activation))}")
