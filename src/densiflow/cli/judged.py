"""What ``report`` and ``plot`` share: the part of a table that a model judges, and a line that says what is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from densiflow.cli.options import context_names


def judged_columns(model: Any, path: str) -> tuple[Any, Any]:
    """A table's columns that a model models, and its context columns, None if there are none."""
    from densiflow.table.files import read_file, select

    table = read_file(path)
    context = context_names(model)
    names = model.encoder_.schema.names or [name for name in table.column_names if name not in context]
    return select(table, names), select(table, context) if context else None


@contextmanager
def steps_shown(doing: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell of the next step, shown on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with Console(stderr=True).status(doing) as status:
        yield lambda step: status.update(f"{doing}: {step}")
