"""Cells of any type as float64: labels as positions among their levels, instants as microseconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from densiflow.table import cells, numerals, refusals, spelled
from densiflow.table.columns.base import Floats
from densiflow.table.dtypes import family
from densiflow.table.schema import Label

if TYPE_CHECKING:
    import narwhals as nw

DAY = 86_400_000_000  # microseconds
TEXT_MARK = "text:"  # begins what a schema keeps of a mark of missing cells that is text


@dataclass(frozen=True)
class Cells:
    """One column read: its cells (n,), NaN where they are missing, and what a schema keeps to build it again."""

    values: Floats
    levels: tuple[Label, ...] | None = None
    format: str | None = None
    mark: str | None = None
    family: str | None = "number"  # as `dtypes.family`; None for labels


def of_array(array: NDArray[Any], labels: Sequence[str], what: str, known: Sequence[Cells | None]) -> list[Cells]:
    """The columns of an array (n, d); ``known`` is what a column was fitted with, None in fitting."""
    if array.dtype.kind in "iuf":
        found = [Cells(column, mark="nan") for column in cells.of_array(array, labels, what).T]
    elif array.dtype.kind == "b":
        found = [Cells(column.astype(np.float64), family="boolean") for column in array.T]
    elif array.dtype.kind in "Mm":
        found = [_of_numpy_instants(column) for column in array.T]
    elif array.dtype.kind in "OUS":
        parts = zip(array.T, labels, known, strict=True)
        return [of_objects(column, _null(column), label, what, seen) for column, label, seen in parts]
    else:
        refusals.refuse_kind(what, labels[0], array.dtype.name)
    return [_as_known(column, seen, name, what) for column, seen, name in zip(found, known, labels, strict=True)]


def of_series(series: "nw.Series[Any]", dtype: str, label: str, what: str, known: Cells | None) -> Cells:
    """One column of a frame; ``known`` is what it was fitted with, None in fitting."""
    import narwhals as nw

    kind = series.dtype
    null = np.asarray(series.is_null().to_numpy(), bool)
    if kind == nw.Object or dtype == "object":
        return of_objects(np.asarray(series.to_numpy(), object), null, label, what, known)
    if kind.is_integer() or kind.is_float():
        values = cells.of_series(series, dtype, label, what)
        found = Cells(values, mark="null" if null.any() else "nan" if np.isnan(values).any() else None)
        return _as_known(found, known, label, what)
    if null.all() and family(dtype) is None:
        levels = None if known is None else known.levels
        return Cells(np.full(len(series), np.nan), levels or (), mark="null", family=None)
    if kind == nw.Boolean:
        values = np.where(null, np.nan, series.fill_null(value=False).to_numpy())
        return _as_known(Cells(np.asarray(values, np.float64), mark="null", family="boolean"), known, label, what)
    if kind in (nw.Date, nw.Datetime, nw.Time, nw.Duration) or dtype.startswith("date64"):
        found = Cells(_microseconds(series.to_arrow()), mark="null", family=family(dtype))
        return _as_known(found, known, label, what)
    if kind in (nw.String, nw.Categorical, nw.Enum):
        keeps = kind == nw.Enum or (kind == nw.Categorical and not series.implementation.is_polars())
        read = _of_arrow_labels(series.to_arrow(), keeps, known, f"{label} of {what}")
        return read or _refuse_labels(series, label, what)
    return refusals.refuse_kind(what, label, dtype)


def of_objects(
    objects: NDArray[Any], null: NDArray[np.bool_], label: str, what: str, known: Cells | None = None
) -> Cells:
    """A column of Python objects: numbers, or labels of which each is a text, a number or a boolean."""
    null = null | np.array([_is_missing(cell) for cell in objects], bool)
    present = objects[~null]
    mark = _mark(objects[null])
    is_label = [isinstance(cell, str | bool | np.bool_) for cell in present]
    if not any(is_label) and (known is None or known.levels is None):
        if len(present) and all(spelled.is_instant(cell) for cell in present):
            found = Cells(*spelled.of_instants(objects, null), mark=mark, family="instant")
            return _as_known(found, known, label, what)
        values = cells.of_objects(objects, null, label, what)
        whole = len(present) > 0 and all(isinstance(cell, int | np.integer) for cell in present)
        return _as_known(Cells(values, format="int" if whole else None, mark=mark), known, label, what)
    for row, cell in enumerate(objects):
        if not (null[row] or isinstance(cell, str | bool | np.bool_ | Real)):
            refusals.refuse_cell(what, label, row, cell)
    plain = [cell.item() if isinstance(cell, np.generic) else cell for cell in present]
    distinct, where = _distinct(plain)
    return _labelled(distinct, where, null, None, known, mark) or _refuse_labels(objects, label, what)


def _of_arrow_labels(array: Any, keeps: bool, known: Cells | None, label: str) -> Cells | None:
    """Text or a dictionary, as `_labelled`; with ``keeps`` levels that no row has are kept, in their order."""
    import pyarrow
    from pyarrow import compute

    array = array.combine_chunks() if isinstance(array, pyarrow.ChunkedArray) else array
    if not pyarrow.types.is_dictionary(array.type):
        array = compute.dictionary_encode(array)
    null = np.asarray(array.is_null())
    distinct = array.dictionary.to_pylist()
    for level in distinct:
        if not isinstance(level, str | bool | int | float):
            refusals.refuse_level(label, level)
    where = np.asarray(array.indices.fill_null(0), np.int64)[~null]
    if not keeps:
        used = np.unique(where)
        place = np.zeros(len(distinct) + 1, np.int64)
        place[used] = np.arange(len(used))
        distinct, where = [distinct[i] for i in used], place[where]
    return _labelled(distinct, where, null, tuple(distinct) if keeps else None, known, "null")


def _labelled(
    distinct: list[Any],
    where: NDArray[np.int64],
    null: NDArray[np.bool_],
    levels: tuple[Label, ...] | None,
    known: Cells | None,
    mark: str | None,
) -> Cells | None:
    """Cells of labels ``distinct[where]`` in the rows that are not null; None for text where numbers were fitted."""
    values = np.full(len(null), np.nan)
    has_labels = (levels if known is None else known.levels) is not None
    if not has_labels:
        found = _spelled(distinct, known)
        if found is not None:
            values[~null] = found.values[where]
            return replace(found, values=values, mark=found.mark or mark)
        if known is not None:
            return None
    if levels is None:
        levels = tuple(sorted(distinct, key=_order)) if known is None else known.levels
    elif known is not None:
        levels = known.levels
    assert levels is not None
    place = {_order(level): i for i, level in enumerate(levels)}
    # a label that was not there in fitting has the position after the last
    codes = np.array([place.get(_order(level), len(levels)) for level in distinct], np.float64)
    values[~null] = codes[where]
    return Cells(values, levels, None, mark, None)


def _as_known(found: Cells, known: Cells | None, label: str, what: str) -> Cells:
    """Numbers where labels were fitted are labels; `TableError` for numbers where instants were, and the like."""
    if known is None:
        return found
    if known.levels is None:
        numbers = ("number", "boolean")
        instants = ("instant", "time of day")
        alike = any(known.family in group and found.family in group for group in (numbers, instants))
        if not (alike or known.family == found.family or np.isnan(found.values).all()):
            refusals.refuse_family(what, label, known.family, found.family)
        return found
    null = np.isnan(found.values)
    distinct, where = np.unique(found.values[~null], return_inverse=True)
    labelled = _labelled(distinct.tolist(), where, null, None, known, found.mark)
    assert labelled is not None  # what was fitted are labels
    return labelled


def _spelled(distinct: list[Any], known: Cells | None) -> Cells | None:
    """Different labels that spell numbers or instants, but for marks of missing ones; None where they are labels."""
    marks = [cell for cell in distinct if isinstance(cell, str) and cell in numerals.MISSING]
    rest = [cell for cell in distinct if cell not in marks]
    mark = TEXT_MARK + marks[0] if marks else None
    if known is None:
        number, instant = numerals.format_of(rest, bool(marks)), spelled.format_of(rest)
    else:
        number = known.format or "float" if known.family == "number" else None
        instant = known.format or "iso" if known.family in ("instant", "time of day") else None
    if number is not None:
        values = numerals.parsed(distinct)
        is_read = not np.isnan(numerals.parsed(rest)).any()
        return Cells(values, None, number, mark, "number") if is_read else None
    if instant is not None:
        family = "time of day" if spelled.is_time(instant) else "instant"
        return Cells(spelled.parsed(distinct, instant), None, instant, mark, family)
    return None


def _refuse_labels(labels: Iterable[Any], label: str, what: str) -> NoReturn:
    """Raise `TableError` for labels where numbers were fitted: marks of missing ones are not to blame."""
    blamed = [None if isinstance(cell, str) and cell in numerals.MISSING else cell for cell in labels]
    for row, cell in enumerate(blamed):
        if isinstance(cell, bool | np.bool_):
            refusals.refuse_cell(what, label, row, cell)
    refusals.refuse_text(what, label, blamed)


def _distinct(plain: list[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    place: dict[Any, int] = {}
    distinct: list[Any] = []
    where = np.empty(len(plain), np.int64)
    for row, cell in enumerate(plain):
        key = _order(cell)
        if key not in place:
            place[key] = len(distinct)
            distinct.append(cell)
        where[row] = place[key]
    return distinct, where


def _order(label: Label) -> tuple[str, Any]:
    """Labels in order, those of one type together: True is not 1, but 1.0 is."""
    if isinstance(label, bool | np.bool_):
        return ("boolean", bool(label))
    return ("text", label) if isinstance(label, str) else ("number", float(label))


def _is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


def _null(objects: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([_is_missing(cell) for cell in objects], bool)


def _mark(missing: NDArray[Any]) -> str | None:
    """What the first missing cell is."""
    if not len(missing):
        return None
    return "None" if missing[0] is None else "nan" if isinstance(missing[0], float) else "NA"


def _of_numpy_instants(column: NDArray[Any]) -> Cells:
    null = np.isnat(column)
    unit = "datetime64[us]" if column.dtype.kind == "M" else "timedelta64[us]"
    values = column.astype(unit).astype(np.int64).astype(np.float64)
    family = "instant" if column.dtype.kind == "M" else "duration"
    return Cells(np.where(null, np.nan, values), mark="null", family=family)


def _microseconds(array: Any) -> Floats:
    """Instants since 1970, times since midnight and durations, in microseconds; nulls are NaN."""
    import pyarrow

    array = array.combine_chunks() if isinstance(array, pyarrow.ChunkedArray) else array
    null = np.asarray(array.is_null())
    kind = array.type
    if pyarrow.types.is_date32(kind):
        unit, ints = float(DAY), array.cast(pyarrow.int32())
    else:
        name = "ms" if pyarrow.types.is_date64(kind) else kind.unit
        width = pyarrow.int32() if pyarrow.types.is_time32(kind) else pyarrow.int64()
        unit, ints = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[name], array.cast(width)
    counted = np.asarray(ints.fill_null(0), np.float64)
    values = counted / 1000 if unit == 1e-3 else counted * unit
    return np.where(null, np.nan, values)
