"""Long work on rows, some at a time: on several cores, and with something to see."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

MOST_WORKERS = 4  # each holds a batch of rows


def side_by_side(work: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
    """The results of `work` on each item, in order, of a few at a time.

    The first is worked on alone: what it compiles, the others need not.

    >>> list(side_by_side(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    remaining = iter(items)
    for first in remaining:
        yield work(first)
        break
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[T]] = deque()
    try:
        for item in remaining:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def rows_shown(doing: str, total: int, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function to tell of rows done, which moves a bar on stderr where that is a terminal and not `quiet`."""
    if quiet or not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"rows {doing}", total=total)
        yield lambda rows: progress.advance(task, rows)
