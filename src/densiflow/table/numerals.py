"""Text that spells numbers, and the marks that people write where a number is missing."""

import re

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
