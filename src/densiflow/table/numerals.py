"""Text that spells numbers, and the marks that people write where a number is missing."""

import re
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from densiflow.table.columns.base import Floats

FEWEST = 2  # different numbers: a single one is a label
MOST_LABELS = 64  # different texts without a mark among them may be labels: versions, grades

# those that pandas and arrow know, and what else stands in published tables
MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "nan", "NaN", "-nan", "-NaN", "null", "NULL", "None"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
_POINT, _COMMA, _EITHER = (
    re.compile(rf"\s*[+-]?(\d+({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?\s*") for mark in (r"\.", ",", r"[.,]")
)
_NUMBERS = {".": _POINT, ",": _COMMA, ".,": _EITHER}


def is_number(text: str, decimal: str = ".") -> bool:
    """Whether a text spells a finite number, its decimals after a point, a comma (",") or one of both (".,").

    >>> [is_number(text) for text in ("4.216", " -1e-3", "1,5", "", "1.2.3")], is_number("1,5", ".,")
    ([True, True, False, False, False], True)
    """
    return _NUMBERS[decimal].fullmatch(text) is not None


def is_missing(text: str) -> bool:
    """Whether a text is a mark of a missing number.

    >>> is_missing("?"), is_missing(" "), is_missing("0")
    (True, True, False)
    """
    return text.strip() in MISSING


def format_of(cells: Sequence[Any], is_marked: bool) -> str | None:
    """How some different cells spell numbers to the letter, None where they are labels.

    "%.3f" are texts of as many decimals, "%.15g" and "%r" texts of the fewest digits; "int" and "float" are numbers
    among which there may be texts. ``is_marked`` says that there are marks of missing numbers as well; without one,
    whole numbers may be codes, and so may a few others.

    >>> format_of(["4.216", "0.080"], True), format_of(["17", "5"], True), format_of(["0.5", "17"], True)
    ('%.3f', '%.0f', '%.15g')
    >>> format_of(["01234", "94110"], True), format_of(["17", "5"], False), format_of([1.5, "2.5"], True)
    (None, None, 'float')
    """
    if len(cells) < FEWEST or not all(_is_numeral(cell) for cell in cells):
        return None
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells):
        return "int" if all(_is_whole(cell) for cell in cells) else "float"
    if not is_marked and (len(texts) <= MOST_LABELS or all(_is_whole(text) for text in texts)):
        return None
    decimals = len(texts[0].partition(".")[2])
    formats = (f"%.{decimals}f", "%.15g", "%r")
    return next((one for one in formats if all(one % float(text) == text for text in texts)), None)


def is_format(spelling: str) -> bool:
    """Whether a spelling of cells is one of numbers.

    >>> is_format("%.3f"), is_format("%Y-%m-%d")
    (True, False)
    """
    return spelling in ("int", "float", "%r", "%.15g") or re.fullmatch(r"%\.\d+f", spelling) is not None


def parsed(cells: Sequence[Any]) -> Floats:
    """Numbers, and texts that spell them, in float64 (n,); NaN for anything else."""
    return np.array([float(cell) if _is_numeral(cell) else np.nan for cell in cells], np.float64)


def spelled(values: Floats, spelling: str) -> list[Any]:
    """Numbers as texts, or as the objects that ``spelling`` names.

    >>> spelled(np.array([4.2, -1.0]), "%.3f"), spelled(np.array([3.0]), "int")
    (['4.200', '-1.000'], [3])
    """
    if spelling == "int":
        return [int(value) for value in np.rint(values)]
    numbers = [float(value) for value in values]
    return numbers if spelling == "float" else [spelling % number for number in numbers]


def _is_numeral(cell: Any) -> bool:
    if isinstance(cell, str):
        return is_number(cell)
    return isinstance(cell, Real) and not isinstance(cell, bool | np.bool_)


def _is_whole(cell: Any) -> bool:
    return "." not in cell and "e" not in cell.lower() if isinstance(cell, str) else isinstance(cell, int | np.integer)
