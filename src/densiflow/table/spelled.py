"""Text and Python objects that spell instants: recognised, read to microseconds, and spelled again."""

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.table import numerals
from densiflow.table.columns.base import Floats
from densiflow.table.dtypes import Family, family

EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
FEWEST = 2  # different texts: a single one is a label

# "%-d" and "%-m" are days and months without a zero in front
_DATES = (
    *("%Y-%m-%d", "%d/%m/%Y", "%-d/%-m/%Y", "%m/%d/%Y", "%-m/%-d/%Y"),
    *("%d.%m.%Y", "%-d.%-m.%Y", "%Y/%m/%d", "%d-%m-%Y"),
)
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f")
OBJECTS = {"object:date": datetime.date, "object:datetime": datetime.datetime, "object:time": datetime.time}


def _formats() -> Iterator[str]:
    yield from _DATES
    yield from _TIMES
    for date in _DATES:
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


def family_of(dtype: str, spelling: str | None) -> Family | None:
    """What the cells of a column of this type are, spelled so; None for labels.

    >>> family_of("str", "%H:%M"), family_of("str", "%.3f"), family_of("float64", None)
    ('time of day', 'number', 'number')
    """
    if spelling is None:
        return family(dtype)
    if numerals.is_format(spelling):
        return "number"
    return "time of day" if is_time(spelling) else "instant"


def is_time(spelling: str) -> bool:
    """Whether the format has no date."""
    return spelling == "object:time" or ("%H" in spelling and "%Y" not in spelling)


def told(value: float, family: str | None) -> str:
    """A number of a column as a person reads it: an instant as such, a time of day as hours and minutes.

    >>> told(0.1 + 0.2, "number"), told(86_400e6, "instant"), told(3_600e6, "time of day")
    ('0.3', '1970-01-02', '01:00:00')
    """
    if family not in ("instant", "time of day", "duration") or not np.isfinite(value):
        return f"{value:.12g}"
    if family == "instant":
        instant = EPOCH + datetime.timedelta(microseconds=value)
        return instant.isoformat(" ").removesuffix(" 00:00:00")
    if family == "duration":
        return str(datetime.timedelta(microseconds=value))
    return (EPOCH + datetime.timedelta(microseconds=value)).time().isoformat()


def told_step(value: float, family: str | None) -> str:
    """A width as a person reads it.

    >>> told_step(60e6, "time of day"), told_step(0.01, "number")
    ('1 minute', '0.01')
    """
    if family not in ("instant", "time of day", "duration"):
        return f"{value:.12g}"
    for name, unit in (("day", 86_400e6), ("hour", 3_600e6), ("minute", 60e6), ("second", 1e6), ("microsecond", 1.0)):
        if value >= unit and value % unit == 0:
            return f"{value / unit:.12g} {name}{'s' * (value != unit)}"
    return f"{value:.12g} microseconds"


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
        instant = datetime.datetime.strptime(text, spelling.replace("%-", "%"))
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
    if spelling == "iso":
        return instant.isoformat()
    return instant.strftime(spelling.replace("%-d", str(instant.day)).replace("%-m", str(instant.month)))
