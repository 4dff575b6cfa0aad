"""A batch of any shape through compiled programs of a few sizes, with every shape checked at the border."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.errors import ContextError, KeyTypeError, ShapeError

SIZES = (64, 256, 1024, 4096)  # rows a compiled program takes; longer batches go in pieces, so memory is bounded


def is_traced(*trees: Any) -> bool:
    """Whether values are not known here: something given is traced by grad or vmap, or all of this is inside jit."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in (jnp.zeros(()), *jax.tree.leaves(trees)))


def check_x(x: ArrayLike, dim: int, name: str = "x") -> None:
    """Raise `ShapeError` unless the last axis of `x` is `dim`."""
    shape = np.shape(x)
    if not shape or shape[-1] != dim:
        hint = f"; a column of numbers has shape ({shape[0]}, 1)" if dim == 1 and len(shape) == 1 else ""
        raise ShapeError(f"{name} must have shape (..., {dim}), got {shape}{hint}")


def check_context(context: ArrayLike | None, context_dim: int) -> None:
    """Raise `ContextError` unless the context is there exactly when it is needed, with its width last."""
    if context is None and context_dim:
        raise ContextError(f"this flow needs a context of shape (..., {context_dim}), and none was given")
    if context is not None and not context_dim:
        raise ContextError(f"this flow takes no context, but one of shape {np.shape(context)} was given")
    if context is None:
        return
    shape = np.shape(context)
    if not shape or shape[-1] != context_dim:
        hint = f"; a column of numbers has shape ({shape[0]}, 1)" if context_dim == 1 and len(shape) == 1 else ""
        raise ContextError(f"context must have shape (..., {context_dim}), got {shape}{hint}")


def check_key(key: Any) -> None:
    """Raise `KeyTypeError` unless `key` is one JAX random key."""
    typed = isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    legacy = isinstance(key, Array) and key.dtype == jnp.uint32 and key.shape in ((2,), (4,))
    if not (typed or legacy):
        came = f"{type(key).__name__} of shape {key.shape}" if isinstance(key, Array | np.ndarray) else repr(key)
        raise KeyTypeError(f"expected one JAX random key, such as jax.random.key(0), got {came}")


def flatten(x: ArrayLike, context: ArrayLike | None, dtype: Any, xp: Any) -> tuple[tuple[int, ...], Any, Any]:
    """Broadcast leading axes as numpy does: ``(batch shape, x (n, dim), context (n, c) or None)``, in `xp`."""
    with np.errstate(over="ignore"):  # a cell beyond float32 is infinite: it has no density
        rows = xp.asarray(x, dtype)
    if context is None:
        return rows.shape[:-1], rows.reshape(-1, rows.shape[-1]), None
    given = xp.asarray(context, dtype)
    try:
        batch = np.broadcast_shapes(rows.shape[:-1], given.shape[:-1])
    except ValueError:
        raise ShapeError(
            f"leading axes of x {rows.shape} and context {given.shape} do not broadcast: give one context row, "
            f"or one for each row of x"
        ) from None
    flat, flat_given = (xp.broadcast_to(part, (*batch, part.shape[-1])) for part in (rows, given))
    return batch, flat.reshape(-1, rows.shape[-1]), flat_given.reshape(-1, given.shape[-1])


def in_pieces(compiled: Callable[..., Any], rows: Sequence[Any], n: int) -> Any:
    """Run a compiled function of some row arrays, padded to one of `SIZES` and in pieces of the largest.

    Padding and trimming happen on the host: another number of rows compiles nothing new.
    """
    pieces = []
    for start in range(0, max(n, 1), SIZES[-1]):
        count = min(SIZES[-1], n - start)
        size = next(size for size in SIZES if size >= count)
        padded = [None if r is None else _pad(r[start : start + count], size) for r in rows]
        out = compiled(*padded)
        pieces.append(jax.tree.map(lambda leaf, count=count: np.asarray(leaf)[:count], out))
    device = jax.tree.leaves(out)[0].sharding
    return jax.tree.map(lambda *leaves: jax.device_put(np.concatenate(leaves), device), *pieces)


def _pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat the last row up to `size` rows; zeros where there is none."""
    if len(rows) == size:
        return rows
    if len(rows) == 0:
        return np.zeros((size, *rows.shape[1:]), rows.dtype)
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
