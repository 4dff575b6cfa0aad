"""Which floating type a flow computes in, and the named error when JAX would silently narrow it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from densiflow.errors import ArgumentError, PrecisionError

HOW = 'run inside "with jax.enable_x64(True):", or call jax.config.update("jax_enable_x64", True) at the start'


def float_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """The floating type asked for; JAX's own default for None.

    Raises `ArgumentError` for a type that is not float32 or float64, and `PrecisionError` for float64 while
    JAX has 64-bit numbers switched off (it would hand out float32 with a warning).

    >>> float_dtype("float32")
    dtype('float32')
    """
    if dtype is None:
        return np.dtype(jnp.zeros(()).dtype)
    wanted = named(dtype)
    require(wanted)
    return wanted


def named(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64, whichever is meant, whether or not JAX has it; `ArgumentError` for anything else."""
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ArgumentError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if dtype is None or wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ArgumentError(f"dtype must be float32 or float64, got {wanted}")
    return wanted


def require(dtype: np.dtype[Any]) -> None:
    """Raise `PrecisionError` if `dtype` is float64 and JAX would narrow it."""
    if dtype == np.float64 and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise PrecisionError(f"this needs float64, which JAX has switched off: {HOW}")


def dtype_of(tree: Any) -> np.dtype[Any]:
    """The widest floating type among the leaves of a flow."""
    floats = [leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    return np.dtype(np.result_type(*floats)) if floats else float_dtype(None)


def cast(tree: Any, dtype: DTypeLike) -> Any:
    """The same tree with every floating leaf in `dtype`."""

    def convert(leaf: Any) -> Any:
        return leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(convert, tree)
