"""Any container of a table to a float64 matrix, and a matrix back to the container.

A missing cell is NaN, a label its position among the column's levels, an instant its microseconds since 1970.
Containers: 2-D numpy arrays (and nested lists, or whatever turns into an array), pandas and polars data frames, arrow
tables.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TableError
from densiflow.table import built, cells, labelled, refusals, spelled
from densiflow.table.columns.base import Floats
from densiflow.table.labelled import Cells
from densiflow.table.refusals import listed
from densiflow.table.schema import Container, check_columns
from densiflow.table.schema import Schema as Schema


def read(table: Any, what: str = "the table", *, mixed: bool = False) -> tuple[Schema, Floats]:
    """A table's schema and its cells as a float64 matrix (n, d), which may share the table's memory.

    ``what`` names the table in messages. With ``mixed`` columns may hold text, categories, booleans, dates and times,
    and cells may be missing. Raises `TableError` for something that is not a table, for no rows or no columns, for two
    columns of one name, for a column that can't be read (decimals, nested values), and for an infinite cell; unless
    ``mixed``, for a column that does not hold integers or floats and for a cell that is NaN or null as well.

    >>> read([[1, 2], [3, 4]])
    (Schema(names=None, dtypes=('int64', 'int64'), container='numpy', labels=None), array([[1., 2.],
           [3., 4.]]))
    >>> schema, matrix = read([["b", 1.5], ["a", None]], mixed=True)
    >>> schema.levels, matrix.tolist()
    ((('a', 'b'), None), [[1.0, 1.5], [0.0, nan]])
    """
    schema, body = _opened(table, what)
    if not mixed:
        return schema, _matrix(schema, body, what)
    columns = _columns(schema, body, what, (None,) * schema.width)
    levels, formats, marks = zip(*((part.levels, part.format, part.mark) for part in columns), strict=True)
    return replace(schema, levels=levels, formats=formats, marks=marks), _joined(schema, columns, what)


def matching(schema: Schema, table: Any, what: str = "the table", *, mixed: bool = False) -> Floats:
    """The cells of a table (n, d) that has the fitted schema's columns, in their order.

    Where one side has no names the widths must agree. With ``mixed`` a label that was not there in fitting has the
    position after the last. Raises `TableError` as `read` does, for columns that are missing, superfluous or in
    another order, and for a column of another kind of cells than fitted.
    """
    found, body = _opened(table, what)
    check_columns(schema, found, what)
    if not mixed:
        return _matrix(found, body, what)
    none = np.empty(0)
    parts = zip(schema.levels, schema.formats, schema.dtypes, strict=True)
    known = [
        Cells(none, levels, spelling, None, spelled.family_of(dtype, spelling)) for levels, spelling, dtype in parts
    ]
    numbers = all(seen.levels is None and seen.family == "number" for seen in known)
    if numbers and isinstance(body, np.ndarray) and body.dtype.kind in "iuf":
        return _matrix(found, body, what, missing=True)  # as it stands, not column by column
    return _joined(found, _columns(found, body, what, known), what)


def check_fit(
    schema: Schema, matrix: Floats, weight: Floats | None = None, what: str = "the table", *, mixed: bool = False
) -> None:
    """Raise `TableError` for what can be scored but not fitted: a single row, unless ``mixed`` a constant column.

    Rows of weight zero do not count.
    """
    matrix = matrix if weight is None else matrix[weight > 0]
    refusals.refuse_single_row(what, len(matrix))
    if not mixed:
        refusals.refuse_constant(what, schema.spoken, matrix)


def build(schema: Schema, matrix: Floats) -> Any:
    """A matrix (n, d) as the fitted container, with its column names, types and missing marks.

    Integer columns are rounded and clipped to what their type holds. Where the fitted library is not installed the
    table is an arrow table.
    """
    if schema.container == "numpy":
        return built.array(schema, matrix)
    library = None if schema.container == "arrow" else _library(schema.container)
    if library is None:
        return built.arrow_table(schema, matrix)
    return (built.pandas_frame if schema.container == "pandas" else built.polars_frame)(library, schema, matrix)


def build_named(names: Sequence[str], matrix: Floats, container: Container) -> Any:
    """A matrix (n, d) as float64 columns of these names; a numpy container has no names.

    >>> build_named(["z0"], np.zeros((2, 1)), "arrow").column_names
    ['z0']
    """
    dtype = {"polars": "Float64", "arrow": "double"}.get(container, "float64")
    return build(Schema(tuple(names), (dtype,) * len(names), container), matrix)


def rows_at(table: Any, places: NDArray[np.integer]) -> Any:
    """The rows at these places, in the container of the table.

    >>> rows_at(np.arange(6).reshape(3, 2), np.array([2, 0])).tolist()
    [[4, 5], [0, 1]]
    """
    import narwhals as nw

    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return nw.to_native(frame[places.tolist()])
    return np.asarray(table)[places]


def container_of(table: Any) -> Container:
    """Which of the containers this is; whatever is not a data frame counts as an array."""
    from narwhals import dependencies

    if dependencies.is_pandas_dataframe(table):
        return "pandas"
    if dependencies.is_polars_dataframe(table):
        return "polars"
    return "arrow" if dependencies.is_pyarrow_table(table) else "numpy"


def _opened(table: Any, what: str) -> tuple[Schema, Any]:
    """The schema, and an array or a narwhals frame whose cells are not looked at yet."""
    import narwhals as nw

    table = nw.to_native(table, pass_through=True)
    container = container_of(table)
    if container == "numpy":
        array = _array(table, what)
        refusals.refuse_shape(what, array.shape)
        name = "unicode" if array.dtype.kind == "U" else array.dtype.name
        return Schema(None, (name,) * array.shape[1], container), array
    refusals.refuse_shape(what, table.shape)
    if container == "arrow":
        keys, dtypes = table.column_names, table.schema.types
    else:
        keys, dtypes = list(table.columns), table.dtypes
    names, labels = _names(keys, what)
    schema = Schema(names, tuple(_name(dtype) for dtype in dtypes), container, labels)
    return schema, nw.from_native(table, eager_only=True)


def _array(table: Any, what: str) -> NDArray[Any]:
    """Something that is not a data frame as an array; `TableError` if it can't be one."""
    if hasattr(table, "toarray") and hasattr(table, "nnz"):
        refusals.refuse_sparse(what)
    if np.ma.is_masked(table):
        filled: NDArray[Any] = table.astype(np.float64).filled(np.nan)
        return filled
    named = hasattr(table, "__arrow_c_array__")  # an arrow batch turns into an array that has lost its names
    if named or not (isinstance(table, list | tuple) or hasattr(table, "__array__")):
        hint = "; collect it first" if hasattr(table, "collect") else ""
        raise TableError(
            f"{what} must be a pandas or polars data frame, an arrow table or a 2-D array, "
            f"got {type(table).__name__}{hint}"
        )
    try:
        array = np.asarray(table)
    except ValueError:
        raise TableError(f"{what} must have rows of equal length, got a ragged list") from None
    # numpy turns the numbers beside a text into text as well
    return np.asarray(table, object) if array.dtype.kind in "US" and isinstance(table, list | tuple) else array


def _names(keys: Sequence[Any], what: str) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None]:
    """Column names, or None and integer labels; `TableError` for anything else, or for the same twice."""
    refusals.refuse_duplicates(what, keys)
    if all(isinstance(key, str) for key in keys):
        return tuple(str(key) for key in keys), None
    if all(isinstance(key, int | np.integer) and not isinstance(key, bool) for key in keys):
        return None, tuple(int(key) for key in keys)
    kinds = ", ".join(sorted({type(key).__name__ for key in keys}))
    raise TableError(f"column names of {what} must be all text or all integers, got {kinds}: {listed(keys)}")


def _matrix(schema: Schema, body: Any, what: str, *, missing: bool = False) -> Floats:
    """Every cell in float64 (n, d), finite; with ``missing`` NaN as well."""
    spoken = schema.spoken
    if isinstance(body, np.ndarray):
        matrix = cells.of_array(body, spoken, what)
    else:
        matrix = np.empty(body.shape)
        for i, (dtype, label) in enumerate(zip(schema.dtypes, spoken, strict=True)):
            matrix[:, i] = cells.of_series(body[:, i], dtype, label, what)
    (refusals.refuse_infinite if missing else refusals.refuse_missing)(what, spoken, matrix)
    return matrix


def _columns(schema: Schema, body: Any, what: str, known: Sequence[Cells | None]) -> list[Cells]:
    """Every column read, of any type."""
    if isinstance(body, np.ndarray):
        return labelled.of_array(body, schema.spoken, what, known)
    parts = enumerate(zip(schema.dtypes, schema.spoken, known, strict=True))
    return [labelled.of_series(body[:, i], dtype, label, what, seen) for i, (dtype, label, seen) in parts]


def _joined(schema: Schema, columns: Sequence[Cells], what: str) -> Floats:
    matrix = np.stack([part.values for part in columns], axis=1)
    refusals.refuse_infinite(what, schema.spoken, matrix)
    return matrix


def _name(dtype: Any) -> str:
    """The name a column type is saved under."""
    name = str(dtype)
    return "category, ordered" if name == "category" and getattr(dtype, "ordered", False) else name


def _library(name: str) -> Any:
    """The data frame library of that name, None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None
