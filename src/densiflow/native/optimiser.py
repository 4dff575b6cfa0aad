"""The optimiser's step through a compiled kernel: it reads and writes every number once."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from densiflow.native.library import available, derivatives

Columns = tuple[Sequence[Array], ...]  # of each kind of number its leaves, in one order of leaves for all


def adam(
    columns: Columns, gradient: Sequence[Array], factors: Sequence[Array], pure: Callable[..., Columns]
) -> Columns:
    """``pure(columns, gradient, factors)``, through the kernel where it is. It has no derivatives.

    The columns are the trained weights, their average, that of the gradient and that of its square; `training/adam.py`
    has the formula. The new ones take the old ones' memory where the program has no more use for these.
    """
    leaves = [*(leaf for column in columns for leaf in column), *gradient, *factors]
    if any(leaf.dtype != jnp.float32 for leaf in leaves) or derivatives.value == "none" or not available():
        return pure(columns, gradient, factors)
    columns = tuple(map(tuple, columns))
    return tuple(lax.platform_dependent(columns, gradient, factors, cpu=_kernel, default=pure))


def _kernel(columns: Columns, gradient: Sequence[Array], factors: Sequence[Array]) -> Any:
    leaves, structure = jax.tree.flatten(columns)
    results = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    call = jax.ffi.ffi_call(
        "densiflow_adam_step",
        results,
        vmap_method="sequential",
        input_output_aliases={1 + i: i for i in range(len(leaves))},
    )
    return jax.tree.unflatten(structure, call(jnp.stack(factors), *leaves, *gradient))
