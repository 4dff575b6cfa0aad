"""Text and Python objects that spell instants: recognised, read to microseconds, and spelled again."""

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.table.columns.base import Floats

EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
FEWEST = 2  # different texts: a single one is a label

_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d")
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f")
OBJECTS = {"object:date": datetime.date, "object:datetime": datetime.datetime, "object:time": datetime.time}


def _formats() -> Iterator[str]:
    yield from _DATES[:-1]
    yield from _TIMES
    for date in _DATES[:-1]:
        for time in _TIMES:
            yield f"{date} {time}"
            yield f"{date}T{time}"


FORMATS = tuple(_formats())


def format_of(texts: Sequence[Any]) -> str | None:
    """The format in which every one of some different texts is spelled to the letter, None where there is none.

    Of day and month the first is the day, unless that is never possible.

    >>> format_of(["16/12/2006", "02/01/2007"]), format_of(["17:24", "00:05"]), format_of(["1/2/2006", "x"])
    ('%d/%m/%Y', '%H:%M', None)
    """
    if len(texts) < FEWEST or not all(isinstance(text, str) and 4 < len(text) < 30 for text in texts):
        return None
    for spelling in FORMATS:
        # the first text sorts out nearly all formats
        if all(_spells(text, spelling) for text in texts):
            return spelling
    return None


def parsed(texts: Sequence[Any], spelling: str) -> Floats:
    """Microseconds (n,) since 1970, or since midnight for a time; NaN for what is not spelled so."""
    return np.array([_microseconds(text, spelling) for text in texts], np.float64)


def spelled(values: Floats, spelling: str) -> list[Any]:
    """Microseconds as texts, or as the objects that ``spelling`` names.

    >>> spelled(np.array([0.0, 86_400e6]), "%d/%m/%Y")
    ['01/01/1970', '02/01/1970']
    """
    return [_spell(float(value), spelling) for value in values]


def is_time(spelling: str) -> bool:
    """Whether the format has no date."""
    return spelling == "object:time" or ("%H" in spelling and "%d" not in spelling)


def ticks_in_a_day(spelling: str) -> int:
    """How finely the format counts."""
    if spelling in ("object:time", "object:datetime", "iso") or "%f" in spelling:
        return 86_400_000_000
    return 86400 if "%S" in spelling else 1440 if "%M" in spelling else 1


def is_instant(cell: Any) -> bool:
    """Whether a Python object is a date, a time, or both, of no time zone."""
    return isinstance(cell, datetime.date | datetime.time) and getattr(cell, "tzinfo", None) is None


def of_instants(objects: NDArray[Any], null: NDArray[np.bool_]) -> tuple[Floats, None, str]:
    """Dates, times and datetimes as microseconds, levels None, and what they are."""
    values = np.full(len(objects), np.nan)
    first = next(cell for cell, is_null in zip(objects, null, strict=True) if not is_null)
    is_timed = isinstance(first, datetime.datetime)
    name = "object:datetime" if is_timed else "object:time" if isinstance(first, datetime.time) else "object:date"
    for row in np.flatnonzero(~null):
        values[row] = _since(objects[row])
    return values, None, name


def _since(cell: Any) -> float:
    if isinstance(cell, datetime.time):
        cell = datetime.datetime.combine(EPOCH, cell)
    elif not isinstance(cell, datetime.datetime):
        cell = datetime.datetime.combine(cell, datetime.time())
    return float((cell - EPOCH) // MICROSECOND)


def _microseconds(text: Any, spelling: str) -> float:
    if is_instant(text):
        return _since(text)
    if not isinstance(text, str):
        return np.nan
    try:
        if spelling == "iso" or spelling.startswith("object"):
            return _since(datetime.datetime.fromisoformat(text))
        instant = datetime.datetime.strptime(text, spelling)
    except ValueError:
        return np.nan
    return _since(instant.time() if is_time(spelling) else instant)


def _spells(text: str, spelling: str) -> bool:
    value = _microseconds(text, spelling)
    return value == value and _spell(value, spelling) == text


def _spell(value: float, spelling: str) -> Any:
    instant = EPOCH + datetime.timedelta(microseconds=round(value))
    if spelling in OBJECTS:
        parts = {"object:date": instant.date(), "object:time": instant.time(), "object:datetime": instant}
        return parts[spelling]
    return instant.isoformat() if spelling == "iso" else instant.strftime(spelling)
