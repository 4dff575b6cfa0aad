"""A batch of any shape through compiled programs of a few sizes, with every shape checked at the border."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.errors import ContextError, KeyTypeError, ShapeError

SMALL = (64, 256)  # rows a compiled program takes, and multiples of `STEP`
STEP = 1000  # what people ask for, so that it is neither padded nor cut
MOST_STEPS = 10
CELLS = 2**20  # numbers in a piece of the widest layer, at most: what the caches near the cores hold
ON_ACCELERATOR = (64, 256, 1024, 4096, 16384, 65536)
AHEAD = 2  # pieces under way while another is read


def is_traced(*trees: Any) -> bool:
    """Whether values are not known here: something given is traced by grad or vmap, or all of this is inside jit."""
    here = jax.device_put(_nothing())  # traced inside jit; compiles nothing outside
    return any(isinstance(leaf, jax.core.Tracer) for leaf in (here, *jax.tree.leaves(trees)))


@cache
def _nothing() -> Array:
    """Some array on the device, from which `device_put` is quicker than from the host."""
    with jax.ensure_compile_time_eval():
        return jax.device_put(np.zeros((), np.float32))


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


def sizes_for(flow: Any) -> tuple[int, ...]:
    """The numbers of rows that compiled programs of this flow take, smallest first.

    The last bounds memory: longer batches go in pieces. On a CPU it is what keeps the widest layer's rows near the
    cores, reached in even steps so that little is computed only to be dropped. An accelerator computes rows for
    nothing and starts programs slowly.

    >>> sizes_for({"weight": np.zeros((5, 512, 43))})
    (64, 256, 1000, 2000)
    """
    leaves = jax.tree.leaves(flow)
    if any(device.platform != "cpu" for leaf in leaves[:1] if isinstance(leaf, Array) for device in leaf.devices()):
        return ON_ACCELERATOR
    widest = max((side for leaf in leaves for side in np.shape(leaf)[-2:]), default=1)
    steps = min(max(CELLS // (widest * STEP), 1), MOST_STEPS)
    return (*SMALL, *range(STEP, steps * STEP + 1, STEP))


def piece(n: int, sizes: Sequence[int]) -> int:
    """Rows of each piece of a batch of `n`: pieces of one size, as few as `sizes` allow, so one program does.

    >>> [piece(n, (64, 256, 1000, 2000)) for n in (1, 65, 1500, 2500, 1_000_000)]
    [64, 256, 2000, 2000, 2000]
    """
    count = -(-n // sizes[-1])
    share = -(-n // max(count, 1))
    return next(size for size in sizes if size >= share)


def batch(flow: Any, least: int = 130_000) -> int:
    """Rows, at least `least`, of batches that together give to the bit what one batch of all their rows gives.

    They are whole pieces of the longest size, and so many that a batch of that or more goes in no other.

    >>> batch({"weight": np.zeros((5, 300, 43))})
    132000
    """
    longest = sizes_for(flow)[-1]
    return longest * max(-(-least // longest), MOST_STEPS)


def in_pieces(compiled: Callable[..., Any], rows: Sequence[Any], batch: tuple[int, ...], sizes: Sequence[int]) -> Any:
    """Run a compiled function of row arrays (n, ...), one program for all `n`; leaves of the result are (*batch, ...).

    Padding, trimming and reshaping happen on the host: another number of rows of the same size compiles nothing. The
    next pieces are under way while one is read.
    """
    n = math.prod(batch)
    size = piece(n, sizes)
    starts = range(0, max(n, 1), size)
    outs = (compiled(*[None if r is None else _pad(r[start : start + size], size) for r in rows]) for start in starts)
    first = next(outs)
    if n <= size:
        return jax.tree.map(lambda leaf: _shaped(leaf, batch, leaf), first)
    whole = jax.tree.map(lambda leaf: np.empty((n, *leaf.shape[1:]), leaf.dtype), first)
    waiting = deque([first])
    done = 0
    for out in outs:
        waiting.append(out)
        if len(waiting) > AHEAD:
            done = _place(whole, done, waiting.popleft())
    for out in waiting:
        done = _place(whole, done, out)
    return jax.tree.map(lambda leaf, computed: _shaped(leaf, batch, computed), whole, first)


def _shaped(leaf: Any, batch: tuple[int, ...], computed: Array) -> Array:
    """The rows that are no padding, in the shape of the batch, where they were computed."""
    if leaf is computed and leaf.shape[:1] == batch:
        return computed
    rows = np.asarray(leaf)[: math.prod(batch)]
    return jax.device_put(rows.reshape((*batch, *leaf.shape[1:])), computed.sharding)


def _place(whole: Any, start: int, out: Any) -> int:
    """Copy the rows of a piece to where they belong, from `start` on; what is padding is dropped."""
    for into, leaf in zip(jax.tree.leaves(whole), jax.tree.leaves(out), strict=True):
        part = into[start : start + len(leaf)]
        part[...] = np.asarray(leaf)[: len(part)]
    return start + len(leaf)


def _pad(rows: np.ndarray, size: int) -> np.ndarray:
    """Repeat the last row up to `size` rows; zeros where there is none."""
    if len(rows) == size:
        return rows
    if len(rows) == 0:
        return np.zeros((size, *rows.shape[1:]), rows.dtype)
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
