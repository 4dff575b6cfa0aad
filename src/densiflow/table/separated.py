"""Tables in text with separators, as people have them: what a file does not say is read from its first lines.

- How cells are parted, and whether the first line names the columns, is its `dialect`. Where it does not the columns
  are x0, x1, ... and a `DensiflowWarning` says so.
- Lines beginning with # above columns of numbers are comments, of which the last may name the columns (`comments`).
- In a column that otherwise holds numbers, dates or booleans, an empty cell and the marks of `numerals.MISSING` are
  missing. In a column of text only an empty cell is: "NA" and "?" may be words there.
- A last line of fewer cells that does not end was cut off: it is left out, with a `DensiflowWarning`.
"""

import csv
import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from densiflow.errors import DensiflowWarning, TableError
from densiflow.table.comments import names_above
from densiflow.table.dialect import SPACES, Dialect, dialect_of
from densiflow.table.numerals import MISSING
from densiflow.table.refusals import shown

if TYPE_CHECKING:
    import pyarrow

BYTES_LOOKED_AT = 2**20


def read_separated(data: "pyarrow.Buffer", name: str) -> "pyarrow.Table":
    """The table in a text; ``name`` is the file in messages.

    Raises arrow's errors and `TableError` for a text that is no table, with the line that is not as the others.
    """
    head = data[:BYTES_LOOKED_AT].to_pybytes()
    if len(head) < data.size:  # its last line is not whole
        head = head[: head.rfind(b"\n") + 1] or head
    names, begin = names_above(head)
    head, data = names + head[begin:], _after(names, data[begin:])
    dialect = dialect_of(head.decode("utf-8-sig", "replace"))
    if not dialect.has_names:
        warnings.warn(
            f"{name} names no columns, since its first line is like those below it; the columns are named x0 "
            f"to x{dialect.width - 1}; give it a first line of names to have others",
            DensiflowWarning,
            stacklevel=2,
        )
    data = _with_single_spaces(data) if dialect.separator == SPACES else data
    data = _without_cut_line(data, dialect, name)
    table = _parsed(data, dialect, name, null_values=[*MISSING, *(f" {mark}" for mark in MISSING)])
    return _with_blanks_missing(table, data, dialect, name)


def _after(line: bytes, data: "pyarrow.Buffer") -> "pyarrow.Buffer":
    """The text after a line, which may be empty."""
    from pyarrow import py_buffer

    return py_buffer(b"".join([line, data])) if line else data


def _with_single_spaces(data: "pyarrow.Buffer") -> "pyarrow.Buffer":
    """The text with one space between cells, and none before the first or after the last."""
    from pyarrow import py_buffer

    lines = io.BytesIO(data.to_pybytes())
    return py_buffer(b"".join(b" ".join(line.split()) + b"\n" * line.endswith(b"\n") for line in lines))


def _without_cut_line(data: "pyarrow.Buffer", dialect: Dialect, name: str) -> "pyarrow.Buffer":
    """The text without a last line that has too few cells and no end."""
    tail = data[-BYTES_LOOKED_AT:].to_pybytes()
    begin = max(tail.rfind(b"\n"), tail.rfind(b"\r")) + 1
    last = tail[begin:].decode("utf-8", "replace")
    if not last.strip() or last.count('"') % 2 or begin == 0:  # a quote reaches over several lines
        return data
    width = len(next(csv.reader([last], delimiter=dialect.separator)))
    if width >= dialect.width:
        return data
    warnings.warn(
        f"{name} ends within a line, which has {width} of {dialect.width} cells and no line end, and is left out: "
        f"{shown(last)}",
        DensiflowWarning,
        stacklevel=3,
    )
    return data[: data.size - len(tail) + begin]


def _parsed(data: "pyarrow.Buffer", dialect: Dialect, name: str, **conversion: Any) -> "pyarrow.Table":
    """The text by arrow; a second time, line by line, for the number of one that is not as the others."""
    from pyarrow import ArrowInvalid, BufferReader
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    def read(**options: Any) -> "pyarrow.Table":
        names = None if dialect.has_names else [f"x{i}" for i in range(dialect.width)]
        return read_csv(
            BufferReader(data),
            ReadOptions(column_names=names, use_threads=not options),
            ParseOptions(delimiter=dialect.separator, newlines_in_values=True, **options),
            ConvertOptions(decimal_point=dialect.decimal, **conversion),
        )

    uneven: list[Any] = []

    def note(row: Any) -> str:
        uneven.append(row)
        return "error"

    try:
        return read()
    except ArrowInvalid:
        try:
            return read(invalid_row_handler=note)
        except ArrowInvalid:
            _refuse_uneven(uneven, dialect, name)
            raise


def _refuse_uneven(rows: Sequence[Any], dialect: Dialect, name: str) -> None:
    for row in rows:
        raise TableError(
            f"can't read {name} as CSV: Expected {row.expected_columns} columns, got {row.actual_columns} in line "
            f"{row.number}, blank ones and comments not counted: {shown(row.text)}; mend it, or quote cells that hold "
            f"{dialect.separator!r}"
        ) from None


def _with_blanks_missing(
    table: "pyarrow.Table", data: "pyarrow.Buffer", dialect: Dialect, name: str
) -> "pyarrow.Table":
    """The table with empty cells of text as nulls, unless they are quoted: such columns are read again."""
    from pyarrow import compute, string, types

    blank = [
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if types.is_string(field.type) and compute.any(compute.equal(column, "")).as_py()
    ]
    if not blank or len(set(table.column_names)) < table.num_columns:
        return table
    again = _parsed(
        data,
        dialect,
        name,
        include_columns=blank,
        column_types=dict.fromkeys(blank, string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    for column in blank:
        table = table.set_column(table.column_names.index(column), column, again[column])
    return table
