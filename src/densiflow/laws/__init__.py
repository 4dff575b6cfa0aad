"""The laws as library code: what every bijection, base, flow and column must obey, for ours and for yours.

Each check tries every law on the thing as given and with its parameters moved by a little noise, in float64 unless
asked otherwise, and raises `AssertionError` naming the class, what was seen and the law::

    Elementwise: log_det differs from the Jacobian's by 0.69 (law: log_det_is_the_jacobian)

A column of a table has no trained parameters; its laws are tried on cells that it can hold, and on cells that it can't.
"""

from densiflow.laws.base import check_base as check_base
from densiflow.laws.bijection import check_bijection as check_bijection
from densiflow.laws.column import check_column as check_column
from densiflow.laws.flow import check_flow as check_flow

__all__ = ["check_base", "check_bijection", "check_column", "check_flow"]
