"""The rows that training sees: checked, split, and cut into batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ArgumentError, ContextError, ShapeError, TableError, WeightError

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
    x: ArrayLike, context: ArrayLike | None, sample_weight: ArrayLike | None, dim: int, context_dim: int
) -> Rows:
    """Rows as numpy arrays, or an error that says what is wrong and where.

    Raises `ShapeError`, `ContextError`, `WeightError`, and `TableError` for a cell that is not finite.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != dim:
        hint = f"; a column of numbers has shape ({x.shape[0]}, 1)" if x.ndim == 1 and dim == 1 else ""
        raise ShapeError(f"x must have shape (rows, {dim}), got {x.shape}{hint}")
    check_finite(x, "x")
    if context is None:
        if context_dim:
            raise ContextError(f"this flow needs a context of shape (rows, {context_dim}), and none was given")
    else:
        context = np.asarray(context)
        if not context_dim:
            raise ContextError(f"this flow takes no context, but one of shape {context.shape} was given")
        if context.shape != (len(x), context_dim):
            raise ContextError(f"context must have shape ({len(x)}, {context_dim}), got {context.shape}")
        check_finite(context, "context")
    return Rows(x, context, checked_weight(sample_weight, len(x)))


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
    """Weights (n,) in float64, ones if None; `WeightError` unless finite, none negative and some positive."""
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (n,):
        raise WeightError(f"sample_weight must have shape ({n},), one number a row, got {weight.shape}")
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise WeightError(f"sample weights must be finite and not negative, but row {row} has {weight[row]}")
    if not weight.any():
        raise WeightError("every sample weight is zero; at least one row needs a positive weight")
    return weight


def split(rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows | None]:
    """Random training and validation rows; at least one row each, none held out for a fraction of 0."""
    if not 0 <= fraction < 1:
        raise ArgumentError(f"validation must be a fraction from 0 to below 1, or (x, context, weight), got {fraction}")
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
        first = start * batch_size
        index = order[first : first + count * batch_size]
        padded = np.concatenate([index, np.full(steps * batch_size - len(index), order[0])])
        share = np.zeros(steps * batch_size)
        share[: len(index)] = weight[index] / batch_size
        short = n % batch_size
        if start + count == total and short:
            share[len(index) - short : len(index)] *= batch_size / short
        group = rows.take(padded)
        shape = (steps, batch_size)
        x = group.x.reshape(*shape, -1)
        context = None if group.context is None else group.context.reshape(*shape, -1)
        yield x, context, share.reshape(shape).astype(rows.x.dtype), count
