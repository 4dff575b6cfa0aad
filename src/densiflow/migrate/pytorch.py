"""What the two PyTorch libraries share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from densiflow.errors import MigrationError
from densiflow.migrate.objects import numpy_of


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
