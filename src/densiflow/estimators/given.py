"""Context columns as a flow takes them: numbers, whatever the cells are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ContextError, TableError
from densiflow.table import frames
from densiflow.table.as_fitted import as_fitted
from densiflow.table.encode import Encoder
from densiflow.table.refusals import refuse_missing

Floats = NDArray[np.float64]


def read(context: Any, n: int) -> tuple[frames.Schema | None, Floats | None]:
    """The schema and the cells of a context of `n` rows to fit with; `ContextError` for another number of rows."""
    if context is None:
        return None, None
    schema, matrix = frames.read(context, "the context", mixed=True)
    if len(matrix) != n:
        raise ContextError(f"the context must have as many rows as the table, {n}, got {len(matrix)}")
    return schema, matrix


def encoded(encoder: Encoder | None, context: Any, rows: int | None = None) -> Floats | None:
    """Context rows as a fitted flow takes them, (m, c): one, or as many as `rows` where that is given.

    Raises `ContextError` for a context that is missing, superfluous, of other columns or another number of rows.
    """
    if encoder is None:
        if context is not None:
            raise ContextError("this model was fitted without a context, but one was given: leave it out")
        return None
    if context is None:
        raise ContextError(f"this model needs a context, {_wanted(encoder)}, and none was given")
    try:
        matrix = as_fitted(encoder, context, "the context", mixed=True)
    except ValueError as error:
        raise ContextError(str(error)) from None
    if rows is not None and len(matrix) not in (1, rows):
        raise ContextError(f"the context must have 1 row or as many as the table, {rows}, got {len(matrix)}")
    return as_numbers(encoder, matrix)


def _wanted(encoder: Encoder) -> str:
    schema = encoder.schema
    return f"{schema.width} columns" if schema.names is None else "columns " + ", ".join(schema.names)


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
