"""Checks of plain arguments, said in one place."""

from numbers import Real
from typing import Any, get_args

import numpy as np

from densiflow.errors import ArgumentError
from densiflow.table.refusals import shown


def check_count(name: str, value: Any, least: int) -> None:
    """Raise `ArgumentError` unless `value` is a whole number of at least `least`; True and False are not."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, got {shown(value)}")


def check_offered(name: str, value: Any, offered: Any) -> None:
    """Raise `ArgumentError` unless `value` is one of the words of a Literal."""
    if not (isinstance(value, str) and value in get_args(offered)):
        raise ArgumentError(f"{name} must be one of {', '.join(get_args(offered))}, got {value!r}")


def is_real(value: Any) -> bool:
    """Whether this is one real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)
