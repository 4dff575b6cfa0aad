"""Tables in files, some rows at a time, so that memory is bounded however many there are.

Parquet is read as it is needed. CSV, whose types are known only at its end, is read whole, and given out in the same
way.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from densiflow.table import files
from densiflow.table.refusals import refuse_duplicates

if TYPE_CHECKING:
    import pyarrow

BUFFER = 2**20  # bytes of each column read ahead; without it a whole row group is


@dataclass(frozen=True)
class Batches:
    """A file's column names and how many rows it has; to be gone through once."""

    names: list[str]
    count: int
    tables: "Iterator[pyarrow.Table]"


def shares(count: int, size: int) -> list[int]:
    """Rows of each batch: `size`, and in the last what is left over as well.

    >>> shares(700, 200), shares(300, 200)
    ([200, 200, 300], [300])
    """
    full = max(count // size, 1)
    return [size] * (full - 1) + [count - size * (full - 1)]


@contextmanager
def read_batches(path: str | os.PathLike[str], size: int) -> Iterator[Batches]:
    """The table in a file, in batches of `size` rows, the last one up to twice as long.

    Raises what `files.read_file` does; what is wrong with later rows of a Parquet file, when they are reached.
    """
    if files.check_ending(path) == ".csv":
        table = files.read_file(path)
        yield Batches(table.column_names, table.num_rows, _slices(table, size))
        return
    with files.reading(path):
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(os.fspath(path), buffer_size=BUFFER, pre_buffer=False)
    with file:
        names = files.without_index(file.schema_arrow.empty_table()).column_names
        refuse_duplicates(str(path), names)
        yield Batches(names, file.metadata.num_rows, _groups(file, path, size))


def _slices(table: "pyarrow.Table", size: int) -> "Iterator[pyarrow.Table]":
    start = 0
    for count in shares(table.num_rows, size):
        yield table.slice(start, count)
        start += count


def _groups(file: Any, path: str | os.PathLike[str], size: int) -> "Iterator[pyarrow.Table]":
    """The rows of a Parquet file in batches, whatever its row groups are."""
    import pyarrow

    arriving = file.iter_batches(size)
    schema = file.schema_arrow
    held = schema.empty_table()
    for count in shares(file.metadata.num_rows, size):
        parts, rows = [held], held.num_rows
        with files.reading(path):
            while rows < count:
                parts.append(pyarrow.Table.from_batches([next(arriving)], schema))
                rows += parts[-1].num_rows
        whole = pyarrow.concat_tables(parts)
        # a slice of no rows would keep every row before it in memory
        held = whole.slice(count) if rows > count else schema.empty_table()
        yield files.without_index(whole.slice(0, count))
