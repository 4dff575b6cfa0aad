"""What ``report`` and ``plot`` share: the part of a table that a model judges, and a line that says what is done."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from densiflow.cli.tables import parts_of, read


def judged_columns(model: Any, tables: Sequence[str]) -> tuple[Any, Any]:
    """The tables' columns that a model models, and their context columns, None if there are none."""
    return parts_of(model, read(tables))


@contextmanager
def steps_shown(doing: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell of the next step, shown on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with Console(stderr=True).status(doing) as status:
        yield lambda step: status.update(f"{doing}: {step}")
