"""The rows that training sees: checked, split, and cut into batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.arguments import is_real
from densiflow.errors import ArgumentError, ContextError, ShapeError, TableError, WeightError
from densiflow.table.refusals import shown

Floats = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Rows of data x (n, dim), their context (n, c) or None, and their weights (n,).

    ``log_volume`` (n,) is that of the encoding that made x of a table's cells; None where x is the data itself.
    """

    x: Floats
    context: Floats | None
    weight: Floats
    log_volume: Floats | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.integer]) -> "Rows":
        """The rows at `index`."""
        context, log_volume = (None if part is None else part[index] for part in (self.context, self.log_volume))
        return Rows(self.x[index], context, self.weight[index], log_volume)

    def astype(self, dtype: Any) -> "Rows":
        """The same rows in the floating type a flow computes in; weights stay in float64."""
        context = None if self.context is None else self.context.astype(dtype)
        return replace(self, x=self.x.astype(dtype), context=context)

    @property
    def mean_log_volume(self) -> float:
        """What the encoding adds to the mean log-likelihood, nats a row."""
        return 0.0 if self.log_volume is None else float(np.average(self.log_volume, weights=self.weight))


def checked(
    x: ArrayLike,
    context: ArrayLike | None,
    sample_weight: ArrayLike | None,
    dim: int,
    context_dim: int,
    which: str = "",
) -> Rows:
    """Rows as numpy arrays, or an error that says what is wrong and where; `which` rows, such as "held-out ".

    Raises `ShapeError`, `ContextError`, `WeightError`, and `TableError` for no rows, or for a cell that is not a
    finite number.
    """
    x = _numbers(x, f"{which}x")
    if x.ndim != 2 or x.shape[1] != dim:
        hint = f"; a column of numbers has shape ({x.shape[0]}, 1)" if x.ndim == 1 and dim == 1 else ""
        raise ShapeError(f"{which}x must have shape (rows, {dim}), got {x.shape}{hint}")
    if not len(x):
        raise TableError(f"{which}x has no rows, got shape {x.shape}; give at least one")
    check_finite(x, f"{which}x")
    given = _checked_context(context, len(x), context_dim, f"{which}context")
    return Rows(x, given, checked_weight(sample_weight, len(x)))


def _checked_context(context: ArrayLike | None, n: int, context_dim: int, name: str) -> Floats | None:
    if context is None:
        if context_dim:
            raise ContextError(f"this flow needs a {name} of shape (rows, {context_dim}), and none was given")
        return None
    given = _numbers(context, name)
    if not context_dim:
        raise ContextError(f"this flow takes no context, but one of shape {given.shape} was given")
    if given.shape != (n, context_dim):
        raise ContextError(f"{name} must have shape ({n}, {context_dim}), got {given.shape}")
    check_finite(given, name)
    return given


def _numbers(values: ArrayLike, name: str) -> Floats:
    """An array of booleans, integers or floats; `TableError` for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise TableError(f"{name} must have rows of equal length, got a ragged list") from None
    if not _is_numeric(array.dtype):
        raise TableError(f"{name} must hold integers or floats, got the type {array.dtype}; convert it to numbers")
    return array


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" or jnp.issubdtype(dtype, jnp.floating)  # also bfloat16, which numpy calls void


def check_finite(values: Floats, name: str) -> None:
    """Raise `TableError` naming the first cell that is NaN or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TableError(
            f"{name} must be finite, but row {row}, column {column} holds {values[row, column]} "
            f"({bad.sum()} such cells); drop or fill them"
        )


def checked_weight(sample_weight: ArrayLike | None, n: int) -> Floats:
    """Weights (n,) in float64, ones if None; `WeightError` unless finite, none negative and some positive.

    They count relative to each other, so they are scaled to a largest from 1/2 to 1, by a power of two, which
    rounds nothing: sums of the largest or smallest floats stay in range.

    >>> checked_weight([6.0, 2.0], 2)
    array([0.75, 0.25])
    """
    if sample_weight is None:
        return np.ones(n)
    weight = _numeric_weight(sample_weight)
    if weight.shape != (n,):
        raise WeightError(f"sample_weight must have shape ({n},), one number a row, got {weight.shape}")
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise WeightError(f"sample weights must be finite and not negative, but row {row} has {weight[row]}")
    if not weight.any():
        raise WeightError("every sample weight is zero; at least one row needs a positive weight")
    _, exponent = np.frexp(weight.max())
    scaled: Floats = np.ldexp(weight, -exponent)
    return scaled


def _numeric_weight(sample_weight: ArrayLike) -> Floats:
    """Weights in float64, also from Python objects; `WeightError` for text and whatever else is no number."""
    try:
        given = np.asarray(sample_weight)
    except ValueError:
        raise WeightError("sample_weight must be one number a row, got a ragged list") from None
    if given.dtype.kind == "O":
        for row, cell in enumerate(given.ravel()):
            if not isinstance(cell, Real | None):
                raise WeightError(f"sample_weight must hold numbers, but row {row} holds {shown(cell)}")
    elif not _is_numeric(given.dtype):
        raise WeightError(f"sample_weight must hold numbers, got the type {given.dtype}: {shown(given.ravel()[:3])}")
    try:
        with np.errstate(over="ignore"):  # an extended float too large for float64 is refused as infinite
            return given.astype(np.float64)
    except OverflowError:
        raise WeightError(
            "sample_weight holds an integer too large for float64; weights are relative, scale them"
        ) from None


def checked_fraction(fraction: Any, alternative: str = "") -> float:
    """A fraction of rows to hold out, or `ArgumentError`; `alternative` is for its message."""
    if not is_real(fraction) or not 0 <= fraction < 1:
        raise ArgumentError(f"validation must be a fraction from 0 to below 1{alternative}, got {shown(fraction)}")
    return float(fraction)


def split(rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows | None]:
    """Random training and validation rows; at least one row each, none held out for a fraction of 0."""
    fraction = checked_fraction(fraction)
    rows = rows.take(np.flatnonzero(rows.weight > 0))
    if fraction == 0:
        return rows, None
    held = max(1, round(fraction * len(rows)))
    if held >= len(rows):
        raise TableError(f"{len(rows)} rows are too few to hold {fraction:g} of them out; give more, or validation=0")
    order = rng.permutation(len(rows))
    return rows.take(np.sort(order[held:])), rows.take(np.sort(order[:held]))


def batches(
    rows: Rows, batch_size: int, steps: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats | None, Floats, int]]:
    """One epoch in random order, as groups of up to `steps` batches of one fixed shape.

    Yields ``x (steps, batch, dim), context, weight (steps, batch), count``: the first `count` batches are real.
    The last short batch is filled with rows of weight zero, never dropped. Weights are divided by the number of
    real rows of their batch and by the mean weight, so that a batch's loss is the sum of weight times nats.
    """
    n = len(rows)
    order = rng.permutation(n)
    total = -(-n // batch_size)  # batches an epoch, the last perhaps short
    weight = rows.weight / rows.weight.mean()
    for start in range(0, total, steps):
        count = min(steps, total - start)
        index = order[start * batch_size : (start + count) * batch_size]
        group = rows.take(index)
        share = weight[index] / batch_size
        short = n % batch_size
        if start + count == total and short:
            share[-short:] *= batch_size / short
        laid_out = partial(_laid_out, shape=(steps, batch_size))
        context = None if group.context is None else laid_out(group.context)
        yield laid_out(group.x), context, laid_out(share.astype(rows.x.dtype)), count


def _laid_out(values: Floats, shape: tuple[int, int]) -> Floats:
    """The rows of all batches one after the other as (steps, batch, ...).

    Behind a short batch its own last row is repeated, which lies where the flow's data do; batches that are not real
    are zeros, and memory that nothing ever touches.
    """
    steps, size = shape
    laid_out = np.zeros((steps * size, *values.shape[1:]), values.dtype)
    laid_out[: len(values)] = values
    if values.ndim > 1:
        laid_out[len(values) : -(-len(values) // size) * size] = values[-1]
    return laid_out.reshape(*shape, *values.shape[1:])
