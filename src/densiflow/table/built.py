"""Cells of float64 back to columns of pandas, polars, arrow and numpy, each with its type and its missing marks."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.table import numerals, spelled
from densiflow.table.columns.base import Floats
from densiflow.table.dtypes import family, narrowed, numpy_dtype
from densiflow.table.labelled import DAY, TEXT_MARK
from densiflow.table.schema import Schema

MARKS = {"None": None, "nan": float("nan"), "null": None}


def array(schema: Schema, matrix: Floats) -> NDArray[Any]:
    """An array (n, d) of the type fitted on; one of Python objects if its columns are no plain numbers."""
    kind = np.dtype(object) if schema.dtypes[0] == "unicode" else _numpy_type(schema.dtypes[0])
    plain = all(part is None for part in (*schema.levels, *schema.formats))
    if kind.kind in "iufO" and plain and not (kind.kind == "O" and np.isnan(matrix).any()):
        return narrowed(matrix, kind)
    if kind.kind == "b":
        return matrix > 0.5
    if kind.kind in "Mm":
        unit = "datetime64[us]" if kind.kind == "M" else "timedelta64[us]"
        out = _whole(matrix).astype(unit).astype(kind)
        out[np.isnan(matrix)] = "NaT"
        return out
    columns = [objects(schema, i, column, "None") for i, column in enumerate(matrix.T)]
    out = np.stack(columns, axis=1)
    return out.astype(str) if schema.dtypes[0] == "unicode" else out


def objects(schema: Schema, i: int, values: Floats, default: str) -> NDArray[Any]:
    """A column of Python objects: labels, instants or numbers, and the mark of what is missing."""
    null = np.isnan(values)
    out = np.empty(len(values), object)
    levels, spelling = schema.levels[i], schema.formats[i]
    if levels is not None:
        names = np.empty(max(len(levels), 1), object)
        names[: len(levels)] = levels
        out[~null] = names[_whole(values[~null])]
    elif spelling is not None and numerals.is_format(spelling):
        out[~null] = numerals.spelled(values[~null], spelling)
    elif spelling is not None:
        out[~null] = spelled.spelled(values[~null], spelling)
    else:
        out[~null] = values[~null]
    mark = schema.marks[i] or default
    if mark == "NA":
        import pandas

        out[null] = pandas.NA
    elif mark.startswith(TEXT_MARK):
        out[null] = mark.removeprefix(TEXT_MARK)
    else:
        out[null] = MARKS[mark]
    return out


def pandas_frame(pandas: Any, schema: Schema, matrix: Floats) -> Any:
    """A pandas data frame."""
    columns = [_pandas_series(pandas, schema, i, column) for i, column in enumerate(matrix.T)]
    return pandas.DataFrame(dict(zip(schema.keys, columns, strict=True)))


def polars_frame(polars: Any, schema: Schema, matrix: Floats) -> Any:
    """A polars data frame."""
    columns = [_polars_series(polars, schema, i, column) for i, column in enumerate(matrix.T)]
    return polars.DataFrame(columns)


def arrow_table(schema: Schema, matrix: Floats) -> Any:
    """An arrow table, also of what was another library's."""
    import pyarrow

    columns = [_arrow_array(schema, i, column) for i, column in enumerate(matrix.T)]
    return pyarrow.table({str(key): column for key, column in zip(schema.keys, columns, strict=True)})


def _pandas_series(pandas: Any, schema: Schema, i: int, values: Floats) -> Any:
    dtype, levels = schema.dtypes[i], schema.levels[i]
    null = np.isnan(values)
    if dtype.startswith("category"):
        codes = np.where(null, -1, values).astype(np.int64)
        # an index of objects would make the categories' own type another one
        return pandas.Series(
            pandas.Categorical.from_codes(codes, pandas.Index(list(levels or ())), ordered="ordered" in dtype)
        )
    if dtype.endswith("[pyarrow]"):
        # of one name pandas has a string type of its own as well
        column = _arrow_array(schema, i, values)
        return pandas.Series(pandas.array(column, dtype=pandas.ArrowDtype(_arrow_type(dtype) or column.type)))
    if dtype == "object" or levels is not None or schema.formats[i] is not None:
        return pandas.Series(objects(schema, i, values, "None"), dtype=object).astype(dtype)
    match family(dtype):
        case "number":
            return _masked(pandas.Series(_numbers(values, dtype)).astype(dtype), null, pandas)
        case "boolean":
            return _masked(pandas.Series(np.where(null, 0, values) > 0.5).astype(dtype), null, pandas)
    whole = pandas.Series(_whole(values))
    zone = re.search(r"datetime64\[\w+, (.+)\]", dtype)
    if dtype.startswith("timedelta"):
        series = pandas.to_timedelta(whole, unit="us").astype(dtype)
    elif zone:
        series = pandas.to_datetime(whole, unit="us", utc=True).dt.tz_convert(zone[1]).astype(dtype)
    else:
        series = pandas.to_datetime(whole, unit="us").astype(dtype)
    return series.mask(null, pandas.NaT) if null.any() else series


def _masked(series: Any, null: NDArray[np.bool_], pandas: Any) -> Any:
    """The series with its own missing mark where null is; a numpy float's is NaN, which it has there already."""
    if not null.any() or (isinstance(series.dtype, np.dtype) and series.dtype.kind == "f"):
        return series
    return series.mask(null, pandas.NA)


def _polars_series(polars: Any, schema: Schema, i: int, values: Floats) -> Any:
    name, dtype, levels = schema.keys[i], schema.dtypes[i], schema.levels[i]
    null = np.isnan(values)
    kind = _polars_type(polars, dtype, levels)
    if levels is not None or schema.formats[i] is not None:
        return polars.Series(name, objects(schema, i, values, "None").tolist(), dtype=polars.String).cast(kind)
    match family(dtype):
        case "number":
            series = polars.Series(name, _numbers(values, dtype)).cast(kind)
            if schema.marks[i] == "nan":
                return series
        case "boolean":
            series = polars.Series(name, np.where(null, 0, values) > 0.5)
        case _:
            days = dtype == "Date"
            counted = _whole(values / DAY if days else values)
            series = polars.Series(name, counted, dtype=polars.Int64)
            if dtype == "Time":
                series = (series * 1000).cast(kind)
            elif days:
                series = series.cast(polars.Int32).cast(kind)
            else:
                series = series.cast(polars.Duration("us") if dtype.startswith("Dur") else polars.Datetime("us"))
                zone = re.search(r"time_zone='(.+?)'", dtype)
                series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone[1]) if zone else series
                series = series.cast(kind)
    return series.set(polars.Series(null), None) if null.any() else series


def _polars_type(polars: Any, dtype: str, levels: Sequence[Any] | None) -> Any:
    if dtype.startswith("Enum"):
        return polars.Enum(list(levels or ()))
    unit = re.search(r"time_unit='(\w+)'", dtype)
    if unit and dtype.startswith("Datetime"):
        zone = re.search(r"time_zone='(.+?)'", dtype)
        return polars.Datetime(unit[1], zone[1] if zone else None)
    if unit:
        return polars.Duration(unit[1])
    return getattr(polars, dtype.partition("(")[0])


def _arrow_array(schema: Schema, i: int, values: Floats) -> Any:
    import pyarrow

    dtype, levels = schema.dtypes[i], schema.levels[i]
    null = np.isnan(values)
    if dtype.startswith("dictionary") or dtype.startswith("category"):
        labels = pyarrow.array(objects(schema, i, values, "None").tolist())
        kind = _arrow_type(dtype) if dtype.startswith("dictionary") else None
        values_type = labels.type if kind is None else kind.value_type
        index_type = pyarrow.int32() if kind is None else kind.index_type
        codes = pyarrow.array(np.where(null, 0, values).astype(np.int64), mask=null).cast(index_type)
        return pyarrow.DictionaryArray.from_arrays(
            codes, pyarrow.array(list(levels or ()), values_type), ordered=kind is not None and kind.ordered
        )
    if levels is not None or schema.formats[i] is not None:
        cells = objects(schema, i, values, "None").tolist()
        kind = _arrow_type(dtype)
        return pyarrow.array(cells, kind) if kind is not None else pyarrow.array(cells)
    match family(dtype):
        case "number":
            keeps_nan = schema.marks[i] == "nan" and schema.container == "arrow"
            return pyarrow.array(_numbers(values, dtype), mask=None if keeps_nan or not null.any() else null)
        case "boolean":
            return pyarrow.array(np.where(null, 0, values) > 0.5, mask=null)
    return _arrow_instants(_arrow_type(dtype), values, null)


def _arrow_instants(kind: Any, values: Floats, null: NDArray[np.bool_]) -> Any:
    """Microseconds as an arrow type of dates, times, instants or durations; the nearest one of that type."""
    import pyarrow

    kind = pyarrow.timestamp("us") if kind is None else kind
    if pyarrow.types.is_date32(kind):
        return pyarrow.array(_whole(values / DAY), mask=null).cast(pyarrow.int32()).cast(kind)
    unit = "ms" if pyarrow.types.is_date64(kind) else kind.unit
    factor = {"s": 1e-6, "ms": 1e-3, "us": 1.0, "ns": 1e3}[unit]
    counted = _whole(values) * 1000 if unit == "ns" else _whole(values * factor)
    ints = pyarrow.array(counted, mask=null)
    return (ints.cast(pyarrow.int32()) if pyarrow.types.is_time32(kind) else ints).cast(kind)


def _arrow_type(dtype: str) -> Any:
    """The arrow type of a name, that of a dictionary or a time zone too; the nearest to another library's type."""
    import pyarrow

    dtype = dtype.removesuffix("[pyarrow]")
    zoned = re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", dtype)
    if zoned:
        return pyarrow.timestamp(zoned[1], zoned[2])
    listed = re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=(\d)>", dtype)
    if listed:
        return pyarrow.dictionary(_arrow_type(listed[2]), _arrow_type(listed[1]), listed[3] == "1")
    if dtype.startswith(("Date", "date32")):
        return pyarrow.date32() if not dtype.lower().startswith("datetime") else pyarrow.timestamp("us")
    if dtype == "Time":
        return pyarrow.time64("ns")
    if dtype.lower().startswith(("timedelta", "duration(")):
        return pyarrow.duration("us")
    try:
        return pyarrow.type_for_alias(dtype)
    except ValueError:
        return None


def _numbers(values: Floats, dtype: str) -> NDArray[Any]:
    """Numbers of the type, with 0 for what is missing where the type has no NaN."""
    kind = numpy_dtype(dtype)
    return narrowed(values if kind.kind == "f" else np.where(np.isnan(values), 0.0, values), kind)


def _numpy_type(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype) if family(dtype) in ("boolean", "instant", "duration") else numpy_dtype(dtype)


def _whole(values: Floats) -> NDArray[np.int64]:
    return np.rint(np.where(np.isnan(values), 0.0, values)).astype(np.int64)
