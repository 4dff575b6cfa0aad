"""Context columns as a flow takes them: numbers, whatever the cells are."""

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ContextError
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]


def width_of(encoder: Encoder | None) -> int:
    """How many numbers a row of context becomes."""
    return 0 if encoder is None else sum(variable.size or 1 for variable in encoder.variables)


def as_numbers(encoder: Encoder, matrix: Floats) -> Floats:
    """Cells (n, columns) as numbers (n, width): a 1 for the level of each state, and each value, 0 where there is none.

    A level that was not seen has no 1. Raises `ContextError` for a missing cell of a column that had none.
    """
    x, _ = encoder.encode(matrix)
    _refuse_missing(encoder, matrix)
    if encoder.plain:
        return x
    parts, start = [], 0
    for variable in encoder.variables:
        numbers = x[:, start : start + 1]
        parts.append(np.asarray(numbers == np.arange(variable.size), np.float64) if variable.size else numbers)
        start += variable.width
    return np.concatenate(parts, axis=1)


def _refuse_missing(encoder: Encoder, matrix: Floats) -> None:
    known = np.array([column.is_missing or column.kind == "identifier" for column in encoder.columns])
    unknown = np.argwhere(np.isnan(matrix) & ~known)
    if len(unknown):
        row, column = (int(place) for place in unknown[0])
        raise ContextError(
            f"the context must have no missing cell in {encoder.schema.spoken[column]}, which had none when the model "
            f"was fitted, but row {row} has one; fill it"
        )
