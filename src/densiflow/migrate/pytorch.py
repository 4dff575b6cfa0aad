"""What the two PyTorch libraries share."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from densiflow.errors import MigrationError
from densiflow.migrate.objects import named_activation, numpy_of, refuse


def dtype_of(module: Any, where: str) -> str:
    """The floating type of a module's parameters."""
    kinds = {numpy_of(parameter).dtype.name for parameter in module.parameters()}
    if len(kinds) != 1 or not kinds <= {"float32", "float64"}:
        raise MigrationError(f"{where}: the parameters must all be float32 or all float64, got {sorted(kinds)}")
    return kinds.pop()


def tensor_like(module: Any) -> Callable[[Any], Any]:
    """What turns numpy arrays into tensors of the module's kind and place."""
    parameter = next(iter(module.parameters()))
    return lambda numbers: None if numbers is None else parameter.new_tensor(numbers)


def bias_of(linear: Any) -> np.ndarray:
    """Its bias; zeros where it has none."""
    weight = numpy_of(linear.weight)
    return np.zeros(len(weight), weight.dtype) if linear.bias is None else numpy_of(linear.bias)


def alternating(
    parts: Iterable[Any], kind: str, where: str, tensor: Callable[[np.ndarray], Any]
) -> tuple[list[Any], str]:
    """The layers of that class in a sequence of layers with one activation between, and its name."""
    parts = list(parts)
    layers, between = parts[::2], parts[1::2]
    for part in parts:
        if (type(part).__name__ == kind) != any(part is layer for layer in layers) or hasattr(part, "__len__"):
            raise refuse(
                where, f"a {type(part).__name__} where it stands", f"it must be {kind} layers around activations"
            )
    bends = {named_activation(part, where, tensor) for part in between}
    if len(bends) > 1 or len(layers) != len(between) + 1:
        raise refuse(where, f"activations {', '.join(sorted(bends))} so placed", "use one between linear layers")
    return layers, bends.pop() if bends else "identity"
