"""Tables in files, some rows at a time, so that memory is bounded however many there are.

Parquet is read as it is needed. Text, whose types are known only at its end, is read whole, and given out in the same
way.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from densiflow.table import files
from densiflow.table.refusals import refuse_duplicates
from densiflow.table.sources import Part, Source, parts_of, reading
from densiflow.table.together import common_schema, in_schema

if TYPE_CHECKING:
    import pyarrow

BUFFER = 2**20  # bytes of each column read ahead; without it a whole row group is


@dataclass(frozen=True)
class Batches:
    """A table's column names and how many rows it has; to be gone through once."""

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
def read_batches(source: Source, size: int) -> Iterator[Batches]:
    """The table in a file, several, a folder or on stdin, in batches of `size` rows, the last one up to twice as long.

    Raises what `files.read_table` does; what is wrong with later rows of a Parquet file, when they are reached.
    """
    parts = parts_of(source)
    if all(part.is_parquet for part in parts):
        count, schema = _shape(parts)
        yield Batches(schema.names, count, _groups(parts, schema, count, size))
    else:
        table = files.read_parts(parts)
        yield Batches(table.column_names, table.num_rows, _slices(table, size))


def _shape(parts: Sequence[Part]) -> "tuple[int, pyarrow.Schema]":
    """How many rows Parquet files have, and the schema of all."""
    count, schemas = 0, []
    for part in parts:
        with reading(part), files.parquet_file(part) as file:
            count += file.metadata.num_rows
            schemas.append(files.without_index(file.schema_arrow.empty_table()).schema)
        refuse_duplicates(part.name, schemas[-1].names)
    return count, common_schema([part.name for part in parts], schemas)


def _slices(table: "pyarrow.Table", size: int) -> "Iterator[pyarrow.Table]":
    start = 0
    for count in shares(table.num_rows, size):
        yield table.slice(start, count)
        start += count


def _groups(parts: Sequence[Part], schema: "pyarrow.Schema", count: int, size: int) -> "Iterator[pyarrow.Table]":
    """The rows of Parquet files in batches, whatever the files and their row groups are."""
    import pyarrow

    arriving = _arriving(parts, schema, size)
    held = schema.empty_table()
    for share in shares(count, size):
        tables, rows = [held], held.num_rows
        while rows < share:
            tables.append(next(arriving))
            rows += tables[-1].num_rows
        whole = pyarrow.concat_tables(tables)
        # a slice of no rows would keep every row before it in memory
        held = whole.slice(share) if rows > share else schema.empty_table()
        yield whole.slice(0, share)


def _arriving(parts: Sequence[Part], schema: "pyarrow.Schema", size: int) -> "Iterator[pyarrow.Table]":
    import pyarrow

    for part in parts:
        with reading(part), files.parquet_file(part, buffer_size=BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(size):
                yield in_schema(files.without_index(pyarrow.Table.from_batches([batch], file.schema_arrow)), schema)
