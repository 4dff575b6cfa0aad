"""Random numbers through a compiled kernel: those that JAX draws, to rounding, in a tenth of the time."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from densiflow.native.library import available, derivatives


def normal(key: Array, count: int, dtype: Any) -> Array:
    """``jax.random.normal(key, (count,), dtype)``, through the kernel where it is and knows the key.

    Under `vmap` over keys all numbers are one call.
    """

    def pure(key: Array) -> Array:
        return jax.random.normal(key, (count,), dtype)

    def kernel(key: Array) -> Array:
        result = jax.ShapeDtypeStruct((count,), jnp.float32)
        numbers: Array = jax.ffi.ffi_call("densiflow_normal", result, vmap_method="broadcast_all")(_words(key))
        return numbers

    if dtype != jnp.float32 or not _is_threefry(key) or derivatives.value == "none" or not available():
        return pure(key)
    drawn: Array = lax.platform_dependent(key, cpu=kernel, default=pure)
    return drawn


def _is_threefry(key: Array) -> bool:
    """Whether each number is drawn from the key and its place alone, by the cipher that the kernel knows."""
    typed = key if _is_typed(key) else jax.random.wrap_key_data(key)
    return bool(jax.threefry_partitionable.value) and str(jax.random.key_impl(typed)) == "threefry2x32"


def _words(key: Array) -> Array:
    return jax.random.key_data(key) if _is_typed(key) else key


def _is_typed(key: Array) -> bool:
    return jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
