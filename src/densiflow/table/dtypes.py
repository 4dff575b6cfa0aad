"""The column types of four libraries by the names they are saved under, and float64 back to numbers of each."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from densiflow.table.columns.base import Floats

_OTHER_NAMES = {  # what arrow calls them, and what numpy lacks
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "int128": "int64",
    "uint128": "uint64",
}


Family = Literal["number", "boolean", "instant", "time of day", "duration"]

# what a type that is no number's starts with, in lower case, in numpy, pandas, polars or arrow
_FAMILIES: dict[str, Family] = {
    "bool": "boolean",
    "datetime": "instant",
    "timestamp": "instant",
    "date": "instant",
    "timedelta": "duration",
    "duration": "duration",
    "time": "time of day",
}
_FORMATTED = ("str", "string", "large_string", "string_view", "object", "unicode")  # text may spell instants


def family(dtype: str) -> Family | None:
    """What the cells of a column type are; None where they are labels, or can't be read.

    >>> [family(name) for name in ("Int8", "boolean", "date32[day]", "Time", "timedelta64[ns]", "category")]
    ['number', 'boolean', 'instant', 'time of day', 'duration', None]
    """
    plain = dtype.removesuffix("[pyarrow]").lower()
    for start, name in _FAMILIES.items():
        if plain.startswith(start):
            return name
    try:
        return "number" if numpy_dtype(dtype).kind in "iufO" else None
    except (TypeError, ValueError):
        return None


def holds_cells(dtype: str) -> bool:
    """Whether cells of this type can be read without levels: numbers, booleans, instants, text that spells them."""
    return family(dtype) is not None or dtype.removesuffix("[pyarrow]").lower() in _FORMATTED


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy type of a column type's name in numpy, pandas, polars or arrow.

    >>> [numpy_dtype(name).name for name in ("Int8", "double[pyarrow]", "float", "Float32")]
    ['int8', 'float64', 'float32', 'float32']
    """
    plain = name.removesuffix("[pyarrow]").lower()
    return np.dtype(_OTHER_NAMES.get(plain, plain))


def narrowed(values: Floats, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The nearest numbers that `dtype` holds: integers rounded, and nothing wrapped around or made infinite.

    float64 has 53 bits, so integers beyond 2**53 come back to within their rounding.

    >>> narrowed(np.array([-3.0, 41.7, 1e9]), np.dtype("uint8"))
    array([  0,  42, 255], dtype=uint8)
    """
    if dtype.kind not in "iu":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.finfo(np.float64)
        return np.clip(values, limits.min, limits.max).astype(dtype)
    bounds = np.iinfo(dtype)
    rounded = np.rint(values)
    above = rounded >= float(bounds.max)  # as a float the largest int64 is one too large to convert
    whole = np.where(above, 0.0, np.maximum(rounded, float(bounds.min))).astype(dtype)
    return np.where(above, dtype.type(bounds.max), whole)
