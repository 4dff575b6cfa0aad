"""Small fits on one core: several threads that wait for each other cost more than they save, most on a busy machine."""

from contextlib import AbstractContextManager
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Inside, numpy's and scikit-learn's native libraries use one thread."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limited: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limited
