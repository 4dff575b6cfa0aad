"""The cells of arrays and of frames' columns in float64, where they are numbers."""

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from densiflow.table import refusals
from densiflow.table.columns.base import Floats

if TYPE_CHECKING:
    import narwhals as nw


def of_array(array: NDArray[Any], labels: Sequence[str], what: str) -> Floats:
    """An array (n, d) in float64, None as NaN; `TableError` for a cell that is no number."""
    if array.dtype.kind in "iuf":
        with np.errstate(over="ignore"):  # an extended float too large for float64 is refused as infinite
            return np.asarray(array, np.float64)
    if array.dtype.kind not in "OUS":
        refusals.refuse_kind(what, labels[0], array.dtype.name)
    columns = [
        of_objects(column, np.array([cell is None for cell in column]), label, what)
        for column, label in zip(array.T, labels, strict=True)
    ]
    return np.stack(columns, axis=1)


def of_series(series: "nw.Series[Any]", dtype: str, label: str, what: str) -> Floats:
    """One column of a frame (n,) in float64, nulls as NaN; `TableError` for a type or a cell that is no number."""
    import narwhals as nw

    kind = series.dtype
    if kind in (nw.Int128, nw.UInt128):  # which numpy lacks
        series = series.cast(nw.Float64)
    if kind.is_integer() or kind.is_float():
        return np.asarray(series.to_numpy(), np.float64)
    null = np.asarray(series.is_null().to_numpy(), bool)
    if null.all():
        return np.full(len(series), np.nan)
    if kind in (nw.String, nw.Object):
        return of_objects(series.to_numpy(), null, label, what)
    return refusals.refuse_kind(what, label, dtype)


def of_objects(cells: NDArray[Any], null: NDArray[np.bool_], label: str, what: str) -> Floats:
    """A column of Python objects in float64, if every one is a real number or null."""
    numbers = np.full(len(cells), np.nan)
    for row in np.flatnonzero(~null):
        cell = cells[row]
        if isinstance(cell, str | bytes):
            refusals.refuse_text(what, label, cells)
        if isinstance(cell, bool) or not isinstance(cell, Real):
            refusals.refuse_cell(what, label, int(row), cell)
        try:
            numbers[row] = float(cell)
        except OverflowError:  # an integer too large for float64 is refused as infinite
            numbers[row] = np.inf
    return numbers
