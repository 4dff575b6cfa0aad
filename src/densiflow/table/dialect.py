"""How a text holds a table: its separator, its decimals, whether it names the columns.

- The separator is the comma, semicolon, tab or bar that parts the lines into as many cells as the first; between
  several, the one that leaves most numbers. Decimals may follow a comma where that is not the separator.
- Runs of spaces part cells where they part every line into as many as the first, and most below it are numbers: text
  is not taken for a table of words.
- The first line holds the names, unless it holds numbers just as the lines below it do (`has_names`).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from densiflow.table.numerals import is_missing, is_number

SEPARATORS = (",", ";", "\t", "|")
SPACES = " "  # a run of spaces, and tabs among them, as one separator
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
    rows = rows_of(text, separator)
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
        rows = rows_of(text, separator)
        width = len(rows[0]) if rows else 1
        agree = sum(len(row) == width for row in rows) / max(len(rows), 1)
        if width == 1 or agree < AGREE or (separator == SPACES and not _are_parted_by_spaces(rows)):
            return (0.0, 0.0, 0)
        cells = [cell for row in rows for cell in row]
        mark = "." if separator == "," else ".,"
        return agree, sum(is_number(cell, mark) for cell in cells) / len(cells), width

    return max((*SEPARATORS, SPACES), key=merit)


def are_numbers(rows: Rows) -> bool:
    """Whether most cells below the first line are numbers; those of the first where it is the only one."""
    below = [cell for row in rows[1:] or rows for cell in row]
    return sum(is_number(cell, ".,") or is_missing(cell) for cell in below) > NUMBERS * len(below)


def _are_parted_by_spaces(rows: Rows) -> bool:
    """Whether all lines have as many cells, no other separator is in any, and most below the first line are numbers.

    Sentences, and numbers in groups of three digits, have not always as many words.
    """
    cells = [cell for row in rows for cell in row]
    is_other = [any(mark in cell for mark in '";|') or ("," in cell and not is_number(cell, ",")) for cell in cells]
    return len({len(row) for row in rows}) == 1 and not any(is_other) and are_numbers(rows)


def rows_of(text: str, separator: str) -> Rows:
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
