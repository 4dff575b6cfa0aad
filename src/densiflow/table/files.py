"""Tables in files: CSV and Parquet, told apart by the file's ending.

CSV holds no types: a column of whole numbers is read as integers. Floats are written with the digits that give the
same float64 again.
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
from densiflow.errors import ArgumentError, MissingFileError, TableError
from densiflow.table.frames import build, container_of, read
from densiflow.table.refusals import listed, refuse_duplicates

if TYPE_CHECKING:
    import pyarrow

ENDINGS = (".csv", ".parquet")


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending in lower case; `ArgumentError` unless it is one of `ENDINGS`. Called before long work as well.

    >>> check_ending("rows.CSV")
    '.csv'
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ArgumentError(f"a table's file must end in {' or '.join(ENDINGS)}, got {os.fspath(path)!r}")
    return ending


def read_file(path: str | os.PathLike[str]) -> "pyarrow.Table":
    """The table in a file.

    Raises `ArgumentError` for another ending, `MissingFileError` where there is no file, and `TableError` for a file
    that can't be read as what its ending says, or has two columns of one name.
    """
    ending = check_ending(path)
    with reading(path):
        table = _read_csv(path) if ending == ".csv" else _read_parquet(path)
        names = table.column_names
    refuse_duplicates(str(path), names)
    return table


def read_table(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> "pyarrow.Table":
    """The table in a file, in a folder of Parquet files, in several files of the same columns, or on stdin ("-").

    Raises what `read_file` does for any of the files.
    """
    if isinstance(source, str | os.PathLike):
        return read_file(source)
    if len(source) != 1:
        raise ArgumentError(f"a table must come from one file, got {len(source)}: {listed(map(os.fspath, source))}")
    return read_file(source[0])


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise `MissingFileError` where there is no file, and `TableError` for what arrow finds wrong with it inside."""
    import pyarrow

    if not Path(path).exists():
        raise MissingFileError(f"there is no file {path}")
    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableError(f"can't read {path} as {_format(check_ending(path))}: {_one_line(error)}") from None


def write_file(table: Any, path: str | os.PathLike[str]) -> None:
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
def written_file(path: str | os.PathLike[str]) -> Iterator[Callable[[Any], None]]:
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


def _read_csv(path: str | os.PathLike[str]) -> "pyarrow.Table":
    from pyarrow.csv import read_csv

    return read_csv(os.fspath(path))


def _read_parquet(path: str | os.PathLike[str]) -> "pyarrow.Table":
    from pyarrow.parquet import ParquetFile

    with ParquetFile(os.fspath(path)) as file:
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
