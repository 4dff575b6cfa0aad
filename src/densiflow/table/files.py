"""Tables in files: text with separators, and Parquet, told apart by the file's ending, or on stdin by its first bytes.

Text holds no types and is read as people have it (`separated`): a column of whole numbers is read as integers. It is
written with commas, and floats with the digits that give the same float64 again.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densiflow.atomic import written_whole
from densiflow.errors import ArgumentError, TableError
from densiflow.table.frames import build, container_of, read
from densiflow.table.refusals import listed, refuse_duplicates
from densiflow.table.separated import read_separated
from densiflow.table.sources import Part, Source, StrPath, part_of_file, parts_of, reading
from densiflow.table.together import common_schema, in_schema

if TYPE_CHECKING:
    import pyarrow

ENDINGS = (".csv", ".parquet")  # of files that are written


def check_ending(path: StrPath) -> str:
    """The ending in lower case of a file to be written; `ArgumentError` unless it is one of `ENDINGS`.

    Called before long work as well.

    >>> check_ending("rows.CSV")
    '.csv'
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ArgumentError(f"a table's file must end in {' or '.join(ENDINGS)}, got {os.fspath(path)!r}")
    return ending


def read_table(source: Source) -> "pyarrow.Table":
    """The table in a file, in several files of the same columns, in a folder of Parquet files, or on stdin ("-").

    The rows of a folder come file after file by name. Raises what `read_file` does for any of the files, and
    `TableError` for files whose columns do not agree and for a folder without Parquet files.
    """
    return read_parts(parts_of(source))


def read_file(path: StrPath) -> "pyarrow.Table":
    """The table in a file: .csv, .tsv, .txt or .data with the separator that it shows (`separated`), or .parquet.

    Raises `ArgumentError` for another ending, `MissingFileError` where there is no file, and `TableError` for a file
    that can't be read as what its ending says, or has two columns of one name. Warns (`DensiflowWarning`) where the
    columns have no names, and where the last line was cut off.
    """
    return read_parts([part_of_file(path)])


def read_parts(parts: Sequence[Part]) -> "pyarrow.Table":
    """The rows of some files in one table."""
    from pyarrow import concat_tables

    names, tables = [part.name for part in parts], [_read_part(part) for part in parts]
    schema = common_schema(names, [table.schema for table in tables])
    return concat_tables([in_schema(table, schema) for table in tables])


def parquet_file(part: Part, **options: Any) -> Any:
    """A part that is Parquet as arrow's opened file."""
    from pyarrow import BufferReader
    from pyarrow.parquet import ParquetFile

    return ParquetFile(part.name if part.came is None else BufferReader(part.came), **options)


def write_file(table: Any, path: StrPath) -> None:
    """Write a table in any container to a file, which appears whole or not at all; an array's columns are x0, x1, ...

    Raises `ArgumentError` for another ending, `OutputPathError` for a path that can't be written, and `TableError`
    for a table that the format can't hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file([[1.0, 2.5]], f"{folder}/rows.csv")
    ...     read_file(f"{folder}/rows.csv").to_pydict()
    {'x0': [1], 'x1': [2.5]}
    """
    with written_file(path) as write:
        write(table)


@contextmanager
def written_file(path: StrPath) -> Iterator[Callable[[Any], None]]:
    """A function that adds a table's rows to a file, all of the columns and types of the first; see `write_file`."""
    import pyarrow

    ending = check_ending(path)
    writer = _write_csv if ending == ".csv" else _write_parquet
    with written_whole(path) as part:
        try:
            with writer(part) as write:
                yield lambda table: write(_as_arrow(table))
        except pyarrow.ArrowException as error:
            raise TableError(f"can't write the table as {_format(ending)} to {path}: {_one_line(error)}") from None


def select(table: "pyarrow.Table", names: Sequence[str]) -> "pyarrow.Table":
    """These columns, in this order; `TableError` for a name that the table lacks."""
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise TableError(
            f"the table has no columns {listed(missing)}; it has {', '.join(map(repr, table.column_names))}"
        )
    return table.select(list(names))


def _read_part(part: Part) -> "pyarrow.Table":
    with reading(part):
        table = _read_parquet(part) if part.is_parquet else _read_text(part)
    refuse_duplicates(part.name, table.column_names)
    return table


def _read_text(part: Part) -> "pyarrow.Table":
    from pyarrow import memory_map

    if part.came is not None:
        return read_separated(part.came, part.name)
    with memory_map(part.name) as file:
        return read_separated(file.read_buffer(), part.name)


def _read_parquet(part: Part) -> "pyarrow.Table":
    with parquet_file(part) as file:
        return without_index(file.read())


def without_index(table: "pyarrow.Table") -> "pyarrow.Table":
    """The table without what pandas stores as a column of a Parquet file: an index that nobody named."""
    return table.select([i for i, name in enumerate(table.column_names) if not name.startswith("__index_level_")])


@contextmanager
def _write_csv(path: Path) -> "Iterator[Callable[[pyarrow.Table], None]]":
    from pyarrow.csv import WriteOptions, write_csv

    with path.open("wb") as file:

        def write(table: "pyarrow.Table") -> None:
            if file.tell() == 0:
                header = io.StringIO()
                csv.writer(header, lineterminator="\n").writerow(table.column_names)  # arrow would quote every name
                file.write(header.getvalue().encode())
            write_csv(table, file, WriteOptions(include_header=False))

        yield write


@contextmanager
def _write_parquet(path: Path) -> "Iterator[Callable[[pyarrow.Table], None]]":
    from pyarrow.parquet import ParquetWriter

    with ExitStack() as opened:
        writer: Any = None

        def write(table: "pyarrow.Table") -> None:
            nonlocal writer
            if writer is None:
                writer = opened.enter_context(ParquetWriter(os.fspath(path), table.schema))
            writer.write_table(table)

        yield write


def _as_arrow(table: Any) -> "pyarrow.Table":
    """A table in any container as an arrow table, without the index of a pandas table."""
    import pyarrow

    match container_of(table):
        case "arrow":
            return table
        case "polars":
            return table.to_arrow()
        case "pandas":
            named = table.set_axis([str(name) for name in table.columns], axis=1)
            return pyarrow.Table.from_pandas(named, preserve_index=False)
        case "numpy":
            schema, matrix = read(table)
            names = tuple(f"x{i}" for i in range(schema.width))
            return build(replace(schema, names=names, container="arrow"), matrix)


def _format(ending: str) -> str:
    return "CSV" if ending == ".csv" else "Parquet"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
