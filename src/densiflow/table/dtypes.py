"""The number types of four libraries by the names they are saved under, and float64 back to each of them."""

from typing import Any

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
