"""A table's columns as judging sees them: numbers, or labels with a code each; NaN where a cell is missing.

This is for pictures and tests alone; what a flow sees of a table is `table.Encoder`'s to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ShapeError, TableError
from densiflow.table import frames

Floats = NDArray[Any]
Meaning = Literal["number", "date", "time", "label"]

MICROSECONDS_A_DAY = 86_400_000_000


@final
@dataclass(frozen=True)
class Cells:
    """One column: its cells as numbers, and what the numbers stand for.

    ``values`` (n,) are the numbers themselves; microseconds since 1970 for a date, since midnight for a time; places
    in ``labels`` for a label. NaN is a missing cell; what is infinite counts as missing.
    """

    name: str
    values: Floats
    meaning: Meaning = "number"
    labels: tuple[str, ...] = ()

    @property
    def present(self) -> Floats:
        """The cells that are not missing."""
        return self.values[~np.isnan(self.values)]

    @property
    def missing(self) -> float:
        """The share of cells that are missing."""
        return float(np.mean(np.isnan(self.values)))

    @property
    def is_label(self) -> bool:
        """Whether the numbers are only places in a list of labels, without an order that means something."""
        return self.meaning == "label"

    def shown(self, value: float) -> str:
        """A number as a reader of the table would write it.

        >>> Cells("when", np.zeros(1), "date").shown(86_400_000_000.0), Cells("x", np.zeros(1)).shown(1234.5678)
        ('1970-01-02', '1235')
        """
        if np.isnan(value):
            return "missing"
        if self.is_label:
            return self.labels[int(value)]
        if self.meaning == "number":
            return number(value)
        if self.meaning == "time":
            return str(np.datetime64(round(value), "us")).partition("T")[2][:8]
        whole_days = bool(np.all(self.present % MICROSECONDS_A_DAY == 0))
        return str(np.datetime64(round(value), "us"))[: 10 if whole_days else 19].replace("T", " ")


def number(value: float) -> str:
    """Four digits, without an exponent where that stays readable.

    >>> [number(value) for value in (0.0, 12345.678, 0.00123456, -3.0, 1.5e9)]
    ['0', '12346', '0.001235', '-3', '1.5e+09']
    """
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.4g}"
    digits = max(0, 3 - int(np.floor(np.log10(abs(value))))) if value else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def columns_of(table: Any) -> list[Cells]:
    """The columns of a pandas or polars data frame, an arrow table or a 2-D array.

    Numbers and dates stay numbers; booleans, text and categories are labels. An array's columns are named
    "column 0" and so on. Raises `TableError` for what is no table.

    >>> import pyarrow as pa
    >>> [(cells.meaning, cells.values.tolist()) for cells in columns_of(pa.table({"a": [1, None], "b": ["y", "x"]}))]
    [('number', [1.0, nan]), ('label', [1.0, 0.0])]
    """
    import narwhals as nw

    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        array = np.asarray(table)
        if array.ndim != 2:
            raise TableError(f"judging takes a data frame, an arrow table or a 2-D array, got shape {array.shape}")
        return [_of_objects(f"column {i}", column) for i, column in enumerate(array.T)]
    return [_of_series(str(name), frame.get_column(name)) for name in frame.columns]


def paired(data: Any, samples: Any) -> list[tuple[Cells, Cells]]:
    """The columns of two tables side by side, labels with the same codes. Raises `ShapeError` for other columns."""
    left, right = as_columns(data), as_columns(samples)
    if [cells.name for cells in left] != [cells.name for cells in right]:
        raise ShapeError(
            f"data and samples must have the same columns, got {', '.join(c.name for c in left)} and "
            f"{', '.join(c.name for c in right)}"
        )
    return [_with_same_codes(a, b) for a, b in zip(left, right, strict=True)]


def as_columns(table: Any) -> list[Cells]:
    """The columns of a table, or those that are given as columns already."""
    columns: list[Cells] = table if _is_columns(table) else columns_of(table)
    return columns


def height(table: Any) -> int:
    """How many rows a table has, or columns that are given as such."""
    if _is_columns(table):
        return len(table[0].values)
    return int(table.shape[0]) if hasattr(table, "shape") else len(table)


def take(table: Any, rows: ArrayLike) -> Any:
    """These rows of a table, in the container it came in.

    >>> take(np.arange(6).reshape(3, 2), [2, 0]).tolist()
    [[4, 5], [0, 1]]
    """
    places = np.asarray(rows)
    if _is_columns(table):
        return [replace(cells, values=cells.values[places]) for cells in table]
    return frames.rows_at(table, places)


def subset(table: Any, most: int, rng: np.random.Generator) -> Any:
    """At most that many rows, drawn without replacement and in their order; the table itself where it is short."""
    count = height(table)
    return table if count <= most else take(table, np.sort(rng.choice(count, most, replace=False)))


def matrix_of(columns: Sequence[Cells]) -> Floats:
    """Columns side by side: (n, columns), codes where they are labels."""
    return np.stack([cells.values for cells in columns], axis=1)


def _is_columns(table: Any) -> bool:
    return isinstance(table, list) and bool(table) and isinstance(table[0], Cells)


def _of_series(name: str, series: Any) -> Cells:
    import narwhals as nw

    dtype = series.dtype
    if dtype.is_numeric():
        return Cells(name, _finite(_float64(series)))
    if dtype in (nw.Date, nw.Datetime):
        return Cells(name, _finite(_float64(series.dt.timestamp("us"))), "date")
    if dtype == nw.Boolean:
        return Cells(name, _finite(_float64(series)), "label", ("false", "true"))
    return _of_objects(name, np.array(series.to_list(), object))


def _float64(series: Any) -> Floats:
    """The cells of a narwhals series, NaN where there is none."""
    import narwhals as nw

    missing = series.is_null().to_numpy().astype(bool)
    values = np.full(len(missing), np.nan)
    values[~missing] = series.drop_nulls().cast(nw.Float64).to_numpy()
    return values


def _of_objects(name: str, cells: NDArray[Any]) -> Cells:
    """A column by the Python objects in it: numbers if all that are there are numbers, else labels."""
    if cells.dtype.kind in "iuf":
        return Cells(name, _finite(cells.astype(np.float64)))
    gone = np.array([cell is None or cell != cell for cell in cells], bool)
    there = [cell for cell, missing in zip(cells, gone, strict=True) if not missing]
    values = np.full(len(cells), np.nan)
    if there and all(hasattr(cell, "hour") and not hasattr(cell, "year") for cell in there):
        values[~gone] = [((t.hour * 60 + t.minute) * 60 + t.second) * 1e6 + t.microsecond for t in there]
        return Cells(name, values, "time")
    if all(isinstance(cell, int | float | np.number) and not isinstance(cell, bool | np.bool_) for cell in there):
        values[~gone] = [float(cell) for cell in there]
        return Cells(name, _finite(values))
    words = [str(cell) for cell in there]
    labels = tuple(sorted(set(words)))
    place = {label: i for i, label in enumerate(labels)}
    values[~gone] = [place[word] for word in words]
    return Cells(name, values, "label", labels)


def _with_same_codes(data: Cells, samples: Cells) -> tuple[Cells, Cells]:
    if data.meaning != samples.meaning and min(len(data.present), len(samples.present)):
        raise TableError(
            f"column {data.name!r} holds {data.meaning}s in the data and {samples.meaning}s in the samples"
        )
    if not data.is_label:
        return data, samples
    labels = tuple(sorted({*data.labels, *samples.labels}))
    return _recoded(data, labels), _recoded(samples, labels)


def _recoded(cells: Cells, labels: tuple[str, ...]) -> Cells:
    if cells.labels == labels:
        return cells
    code = np.array([labels.index(label) for label in cells.labels], np.float64)
    values = np.full(len(cells.values), np.nan)
    there = ~np.isnan(cells.values)
    values[there] = code[cells.values[there].astype(int)]
    return replace(cells, values=values, meaning="label", labels=labels)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)
