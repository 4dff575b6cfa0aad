"""The y of a fit: numbers to regress on, labels to tell apart; any container to numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import CellTypeError, TableError
from densiflow.table.refusals import shown

Floats = NDArray[np.float64]


def read_targets(y: Any, rows: int, estimator: str) -> Floats:
    """One number a row (rows,), or several (rows, targets), in float64.

    Raises `TableError` for a y that is missing, of another shape, or holds anything but finite numbers.

    >>> read_targets([[1], [2]], 2, "FlowRegressor")
    array([[1.],
           [2.]])
    """
    array = _array(y, rows, estimator)
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise TableError(f"y must have shape ({rows},) or ({rows}, targets), got {array.shape}")
    if array.dtype.kind not in "biufO":
        raise TableError(f"y must hold numbers, got the type {array.dtype}; convert it to numbers")
    numbers = _numbers(array)
    bad = ~np.isfinite(numbers)
    if bad.any():
        place = tuple(np.argwhere(bad)[0].tolist())
        raise TableError(f"y must be finite, but row {place[0]} holds {numbers[place]} ({bad.sum()} such numbers)")
    return numbers


def read_labels(y: Any, rows: int, estimator: str) -> NDArray[Any]:
    """One label a row (rows,): text, integers, booleans, or floats that are whole numbers.

    Raises `TableError` for a y that is missing, of another shape, or holds numbers that name no class.

    >>> read_labels(["b", "a"], 2, "FlowClassifier")
    array(['b', 'a'], dtype='<U1')
    """
    array = _array(y, rows, estimator)
    if array.ndim == 2 and array.shape[1] == 1:
        _warn_of_a_column(array.shape)
        array = array[:, 0]
    if array.ndim != 1:
        raise TableError(f"y should be a 1d array of one label a row, got an array of shape {array.shape} instead.")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
        row = int(np.argmax(~(np.isfinite(array) & (array == np.round(array)))))
        # scikit-learn's own checks look for the words "Unknown label type"
        raise TableError(
            f"Unknown label type: y must hold labels, but row {row} holds the number {array[row]}; for numbers take "
            f"FlowRegressor"
        )
    if array.dtype.kind == "O":
        _check_sortable(array)
    elif array.dtype.kind not in "biufUST":
        raise TableError(f"Unknown label type: y must hold text, integers or booleans, got the type {array.dtype}")
    return array


def _array(y: Any, rows: int, estimator: str) -> NDArray[Any]:
    if y is None:
        raise TableError(f"{estimator} requires y to be passed, but the target y is None")
    if hasattr(y, "toarray") and hasattr(y, "nnz"):
        raise TableError("y is sparse, and sparse input is not supported; make it dense with .toarray()")
    try:
        array = np.asarray(y)
    except ValueError:
        raise TableError("y must have rows of equal length, got a ragged list") from None
    if array.shape[:1] != (rows,):
        raise TableError(f"X and y must have as many rows, got {rows} and y of shape {array.shape}")
    return array


def _numbers(array: NDArray[Any]) -> Floats:
    """In float64, also from Python objects."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    for row, cell in enumerate(array.reshape(len(array), -1)[:, 0]):
        try:
            float(cell)
        except (TypeError, ValueError):
            raise CellTypeError(f"y must hold numbers, but row {row} holds {shown(cell)}") from None
    raise CellTypeError("y must hold numbers, but one of its columns does not")


def _check_sortable(array: NDArray[Any]) -> None:
    """Raise `TableError` for Python objects that no order puts in a row: text beside numbers, missing labels."""
    for row, cell in enumerate(array):
        if cell is None or cell != cell:
            raise TableError(f"y must hold a label in every row, but row {row} holds {cell!r}; drop the row")
    kinds = sorted({"text" if isinstance(cell, str) else type(cell).__name__ for cell in array})
    if len(kinds) > 1 and "text" in kinds:
        raise TableError(f"Unknown label type: labels must be all text or all numbers, got {', '.join(kinds)}")


def _warn_of_a_column(shape: tuple[int, ...]) -> None:
    """Warn as scikit-learn does."""
    import warnings

    from sklearn.exceptions import DataConversionWarning

    warnings.warn(
        f"A column-vector y was passed when a 1d array was expected: y of shape {shape} is taken as {shape[:1]}",
        DataConversionWarning,
        stacklevel=4,
    )
