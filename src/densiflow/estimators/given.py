"""Context columns as a flow takes them: numbers, whatever the cells are."""

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ContextError, TableError
from densiflow.table.encode import Encoder
from densiflow.table.refusals import refuse_missing

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
    known = np.array([column.is_missing or i not in encoder.kept for i, column in enumerate(encoder.columns)])
    try:
        refuse_missing("the context", encoder.schema.spoken, np.where(known, 0.0, matrix))
    except TableError as error:
        raise ContextError(str(error)) from None
