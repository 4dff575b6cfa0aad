"""What a table may not hold, each said in one place. ``what`` names the table, ``label`` a column: ``column 'a'``."""

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from densiflow.errors import CellTypeError, TableError
from densiflow.table.columns.base import Floats

LISTED = 8  # names that a message lists before it only counts


def refuse_shape(what: str, shape: tuple[int, ...]) -> None:
    """Raise `TableError` unless this is the shape of at least one row and one column."""
    if len(shape) == 1:
        raise TableError(
            f"{what} must have shape (rows, columns), got {shape}; a column of numbers has shape ({shape[0]}, 1), "
            f"one row has shape (1, {shape[0]}). Reshape your data"
        )
    if len(shape) != 2:
        raise TableError(f"{what} must have shape (rows, columns), got {shape}")
    # scikit-learn's own checks look for the words "0 feature(s)"
    for count, name in zip(shape, ("sample(s)", "feature(s)"), strict=True):
        if count == 0:
            hint = "rows" if name == "sample(s)" else "columns"
            raise TableError(f"{what} has no {hint}: 0 {name} (shape={shape}) while a minimum of 1 is required.")


def refuse_sparse(what: str) -> NoReturn:
    """Raise `TableError`: sparse input."""
    raise TableError(f"{what} is sparse, and sparse input is not supported; make it dense with .toarray()")


def refuse_duplicates(what: str, names: Sequence[Any]) -> None:
    """Raise `TableError` if a column name appears twice."""
    seen: set[Any] = set()
    for name in names:
        if name in seen:
            raise TableError(f"{what} has {list(names).count(name)} columns named {name!r}; give each its own name")
        seen.add(name)


def refuse_kind(what: str, label: str, dtype: str) -> NoReturn:
    """Raise `TableError`: a column whose type is not a number's."""
    if dtype.startswith("complex"):
        raise TableError(f"Complex data not supported: {label} of {what} is {dtype}; give real and imaginary columns")
    raise TableError(
        f"{label} of {what} must hold integers or floats, but is {dtype}; convert it to numbers or leave it out"
    )


def refuse_level(label: str, level: Any) -> NoReturn:
    """Raise `TableError`: categories that are neither text nor numbers."""
    raise TableError(
        f"the categories of {label} must be text, numbers or booleans, but one is {shown(level)}, a "
        f"{type(level).__name__}; convert them to text"
    )


def refuse_family(what: str, label: str, expected: str | None, found: str | None) -> NoReturn:
    """Raise `TableError`: a column that holds something else than it did in fitting."""
    raise TableError(f"{label} of {what} must hold what the model was fitted on, {expected}s, but holds {found}s")


def refuse_text(what: str, label: str, cells: Iterable[Any]) -> NoReturn:
    """Raise `TableError`: text; names the first cell that does not spell a number, or else the first text."""
    texts = [(row, cell) for row, cell in enumerate(cells) if isinstance(cell, str | bytes)]
    row, cell = next(((row, cell) for row, cell in texts if not _spells_number(cell)), texts[0])
    raise TableError(
        f"{label} of {what} must hold numbers, but holds text: row {row} holds {shown(cell)}; "
        f"convert it to numbers or leave it out"
    )


def refuse_cell(what: str, label: str, row: int, cell: Any) -> NoReturn:
    """Raise `CellTypeError`: one cell of a column of Python objects that is no number."""
    try:
        float(cell)
    except (TypeError, ValueError) as error:
        reason = f": {error}"
    else:
        reason = ""
    raise CellTypeError(
        f"{label} of {what} must hold numbers, but row {row} holds {shown(cell)}, a {type(cell).__name__}{reason}"
    )


def refuse_missing(what: str, labels: Sequence[str], matrix: Floats) -> None:
    """Raise `TableError` if a cell is NaN, null or infinite; nulls are NaN in `matrix` (n, d)."""
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return
    row, column = (int(index) for index in np.argwhere(bad)[0])
    cell = matrix[row, column]
    holds = "NaN or null" if np.isnan(cell) else f"{cell}"
    raise TableError(
        f"{what} must be finite, but {labels[column]}, row {row} holds {holds} (such cells: {bad.sum()}); "
        f"drop or fill them"
    )


def refuse_infinite(what: str, labels: Sequence[str], matrix: Floats) -> None:
    """Raise `TableError` if a cell is infinite; one that is missing, NaN in `matrix` (n, d), is not."""
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = (int(index) for index in np.argwhere(infinite)[0])
        raise TableError(
            f"{what} must be finite or missing, but {labels[column]}, row {row} holds {matrix[row, column]} (such "
            f"cells: {infinite.sum()}); drop or fill them"
        )


def refuse_single_row(what: str, rows: int) -> None:
    """Raise `TableError` if there is only 1 row to fit on."""
    if rows == 1:
        raise TableError(f"{what} has 1 sample: one row with weight has no spread to fit a density to; give more rows")


def refuse_constant(what: str, labels: Sequence[str], matrix: Floats) -> None:
    """Raise `TableError` if every row of `matrix` (n, d) holds the same number in some column."""
    constant = matrix.min(axis=0) == matrix.max(axis=0)
    if constant.any():
        column = int(np.argmax(constant))
        raise TableError(
            f"{labels[column]} of {what} is constant: every row holds {float(matrix[0, column])}, which has no "
            f"density; leave it out"
        )


def shown(value: Any) -> str:
    """A value on one line, shortened."""
    plain = value.item() if isinstance(value, np.generic) else value
    return " ".join(reprlib.repr(plain).split())


def listed(names: Iterable[Any]) -> str:
    """Names on one line, the first few of many.

    >>> listed("abcdefghij")
    "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more"
    """
    spelled = [repr(name) for name in names]
    more = f" and {len(spelled) - LISTED} more" if len(spelled) > LISTED else ""
    return ", ".join(spelled[:LISTED]) + more


def _spells_number(cell: str | bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
