"""The tables that commands read: a file, several of the same columns, a folder of them, or stdin."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from densiflow.cli.options import context_names
from densiflow.errors import TableError

STDIN = "-"

Tables = Annotated[
    list[str],
    typer.Argument(help="A table: a file, several, a folder of Parquet files, or - for stdin.", metavar="TABLE..."),
]


def read(tables: Sequence[str]) -> Any:
    """All rows of the tables as one arrow table."""
    from densiflow.table.files import read_table

    return read_table(tables)


@contextmanager
def read_in_batches(tables: Sequence[str], size: int) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """The rows some at a time (`Batches`), and a function that gives all of them again."""
    from densiflow.table.batches import Batches, read_batches

    if STDIN in tables:  # which can be read once
        whole = read(tables)
        yield Batches(whole.column_names, whole.num_rows, _slices(whole, size)), lambda: whole
        return
    with read_batches(tables, size) as batches:
        yield batches, lambda: read(tables)


def _slices(table: Any, size: int) -> Iterator[Any]:
    from densiflow.table.batches import shares

    start = 0
    for count in shares(table.num_rows, size):
        yield table.slice(start, count)
        start += count


def name_of(tables: Sequence[str]) -> str:
    """What a message or a title calls them.

    >>> name_of(["data/rows.csv"]), name_of(["-"]), name_of(["a.csv", "b.csv", "c.csv"])
    ('rows.csv', 'stdin', 'a.csv and 2 more')
    """
    first = "stdin" if tables[0] == STDIN else Path(tables[0]).name
    return first if len(tables) == 1 else f"{first} and {len(tables) - 1} more"


def is_table(path: str) -> bool:
    """Whether the name is a table's, not a model's.

    >>> is_table("rows.csv"), is_table("-"), is_table("rows.densiflow")
    (True, True, False)
    """
    from densiflow.table.sources import ENDINGS

    return path == STDIN or Path(path).is_dir() or Path(path).suffix.lower() in ENDINGS


def parts_of(model: Any, table: Any) -> tuple[Any, Any]:
    """A table's columns that a model knows, and its context columns, None if there are none.

    What was left out in fitting, as identifiers, may be missing.
    """
    from densiflow.table.files import select

    context, modelled = context_names(model), modelled_names(model, table)
    known = model.encoder_.schema.names or modelled
    names = [name for name in known if name in modelled or name in table.column_names]
    return select(table, names), select(table, context) if context else None


def modelled_names(model: Any, table: Any) -> list[str]:
    """The names of the columns that a model models; where they have none, all of a table but its context."""
    encoder, context = model.encoder_, context_names(model)
    names = list(encoder.schema.names or [name for name in table.column_names if name not in context])
    return [names[i] for i in encoder.kept] if len(names) == encoder.schema.width else names


def as_arrow(rows: Any, names: Sequence[str]) -> Any:
    """Rows in the container fitted on as an arrow table, whose columns have the names given."""
    import narwhals as nw
    import numpy as np
    import pyarrow as pa

    frame = nw.from_native(rows, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame.to_arrow().rename_columns(list(names))
    return pa.table([pa.array(column) for column in np.asarray(rows).T], names=list(names))


def check_new(table_names: Sequence[str], new: Sequence[str], what: str) -> None:
    """Raise `TableError` for a table that has a column of the name of one to be added."""
    for name in new:
        if name in table_names:
            raise TableError(f"{what} already has a column {name!r}; rename or drop it first")
