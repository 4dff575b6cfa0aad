"""Tables in text with separators, as people have them: what a file does not say is read from its first lines.

- The separator is the comma, semicolon, tab or bar that parts the lines into as many cells as the first; between
  several, the one that leaves most numbers. Decimals may follow a comma where that is not the separator.
- Runs of spaces part cells where they part every line into as many as the first, and most below it are numbers: text
  is not taken for a table of words.
- The first line holds the names, unless it holds numbers just as the lines below it do (`has_names`); then the columns
  are x0, x1, ... and a `DensiflowWarning` says so.
- In a column that otherwise holds numbers, dates or booleans, an empty cell and the marks of `numerals.MISSING` are
  missing. In a column of text only an empty cell is: "NA" and "?" may be words there.
- A last line of fewer cells that does not end was cut off: it is left out, with a `DensiflowWarning`.
"""

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from densiflow.errors import DensiflowWarning, TableError
from densiflow.table.numerals import MISSING, is_missing, is_number
from densiflow.table.refusals import shown

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = (",", ";", "\t", "|")
SPACES = " "  # a run of spaces, and tabs among them, as one separator
BYTES_LOOKED_AT = 2**20
LINES_LOOKED_AT = 500
AGREE = 0.5  # the share of the lines that a separator must part into as many cells as the first
NUMBERS = 0.5  # the share of the cells that must be numbers for spaces to part them

Rows = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """How a text holds a table of ``width`` columns."""

    separator: str
    decimal: str
    has_names: bool
    width: int


def read_separated(data: "pyarrow.Buffer", name: str) -> "pyarrow.Table":
    """The table in a text; ``name`` is the file in messages.

    Raises arrow's errors and `TableError` for a text that is no table, with the line that is not as the others.
    """
    head = data[:BYTES_LOOKED_AT].to_pybytes()
    if len(head) < data.size:  # its last line is not whole
        head = head[: head.rfind(b"\n") + 1] or head
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


def dialect_of(text: str) -> Dialect:
    r"""How the table in a text is written, from its first lines.

    >>> dialect_of("a;b\n1,5;x\n2;y, z\n")
    Dialect(separator=';', decimal=',', has_names=True, width=2)
    >>> dialect_of("1.5,2\n3.5,?\n")
    Dialect(separator=',', decimal='.', has_names=False, width=2)
    >>> dialect_of(" x     y\n 1.5  -2\n10     3\n")
    Dialect(separator=' ', decimal='.', has_names=True, width=2)
    """
    separator = _separator(text)
    rows = _rows(text, separator)
    cells = [cell for row in rows for cell in row]
    commas, points = (sum(mark in cell and is_number(cell, mark) for cell in cells) for mark in (",", "."))
    decimal = "," if separator != "," and commas and not points else "."
    return Dialect(separator, decimal, has_names(rows, decimal), len(rows[0]) if rows else 1)


def has_names(rows: Sequence[Sequence[str]], decimal: str = ".") -> bool:
    """Whether the first of some rows of cells holds names.

    It does not where every column of numbers has a number in the first row too; but whole numbers above columns of
    fractions are names, such as years, and so are 0, 1, 2, ... in order. Where no column holds numbers, the first row
    holds no names if each of its cells is there again in its column.

    >>> has_names([["a", "b"], ["1", "x"]]), has_names([["1.5", "x"], ["2.5", "y"]])
    (True, False)
    >>> has_names([["1990", "2000"], ["0.5", "0.25"], ["0.75", "0.5"]])
    True
    """
    columns = list(zip(*(row for row in rows if len(row) == len(rows[0])), strict=True))
    if not columns or len(columns[0]) < 2 or list(rows[0]) == [str(i) for i in range(len(columns))]:
        return True
    numbers = [column for column in columns if _holds_numbers(column[1:], decimal)]
    if not numbers:
        return not all(first in below for first, *below in columns)
    heads = [column[0] for column in numbers]
    if not _holds_numbers(heads, decimal):
        return True
    are_whole = all(head.strip().isdigit() for head in heads) and len(set(heads)) == len(heads)
    return are_whole and all(_are_fractions(column[1:]) for column in numbers)


def _separator(text: str) -> str:
    def merit(separator: str) -> tuple[float, float, int]:
        rows = _rows(text, separator)
        width = len(rows[0]) if rows else 1
        agree = sum(len(row) == width for row in rows) / max(len(rows), 1)
        if width == 1 or agree < AGREE or (separator == SPACES and not _are_parted_by_spaces(rows)):
            return (0.0, 0.0, 0)
        cells = [cell for row in rows for cell in row]
        mark = "." if separator == "," else ".,"
        return agree, sum(is_number(cell, mark) for cell in cells) / len(cells), width

    return max((*SEPARATORS, SPACES), key=merit)


def _are_parted_by_spaces(rows: Rows) -> bool:
    """Whether all lines have as many cells, no other separator is in any, and most below the first line are numbers.

    Sentences, and numbers in groups of three digits, have not always as many words.
    """
    cells, below = ([cell for row in part for cell in row] for part in (rows, rows[1:]))
    is_other = [any(mark in cell for mark in '";|') or ("," in cell and not is_number(cell, ",")) for cell in cells]
    numbers = sum(is_number(cell, ".,") or is_missing(cell) for cell in below)
    return len({len(row) for row in rows}) == 1 and not any(is_other) and numbers > NUMBERS * len(below)


def _rows(text: str, separator: str) -> Rows:
    """The cells of the first lines that are not blank."""
    if separator == SPACES:
        lines = (line.split() for line in io.StringIO(text))
        return list(islice(filter(None, lines), LINES_LOOKED_AT))
    rows: Rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) == LINES_LOOKED_AT:
                break
    except csv.Error:  # a cell longer than that module allows: a quote that does not end
        pass
    return rows


def _holds_numbers(cells: Sequence[str], decimal: str) -> bool:
    """Whether there are numbers, and nothing else but marks of missing ones."""
    are_numbers = [is_number(cell, decimal) for cell in cells]
    return any(are_numbers) and all(known or is_missing(cell) for known, cell in zip(are_numbers, cells, strict=True))


def _are_fractions(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if not is_missing(cell)]
    return sum(not cell.strip().lstrip("+-").isdigit() for cell in present) > len(present) / 2


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
            f"{row.number}, blank ones not counted: {shown(row.text)}; mend it, or quote cells that hold "
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
