"""Tables in files: CSV and Parquet, told apart by the file's ending.

CSV holds no types: a column of whole numbers is read as integers. Floats are written with the digits that give the
same float64 again.
"""

import csv
import io
import os
from collections.abc import Sequence
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
    import pyarrow

    ending = check_ending(path)
    if not Path(path).exists():
        raise MissingFileError(f"there is no file {path}")
    try:
        table = _read_csv(path) if ending == ".csv" else _read_parquet(path)
        names = table.column_names
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableError(f"can't read {path} as {_format(ending)}: {_one_line(error)}") from None
    refuse_duplicates(str(path), names)
    return table


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
    import pyarrow

    ending = check_ending(path)
    with written_whole(path) as part:
        try:
            (_write_csv if ending == ".csv" else _write_parquet)(_as_arrow(table), part)
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
        table = file.read()
    # pandas stores an index that nobody named as a column; it is not one
    return table.select([i for i, name in enumerate(table.column_names) if not name.startswith("__index_level_")])


def _write_csv(table: "pyarrow.Table", path: Path) -> None:
    from pyarrow.csv import WriteOptions, write_csv

    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(table.column_names)  # arrow would quote every name
    with path.open("wb") as file:
        file.write(header.getvalue().encode())
        write_csv(table, file, WriteOptions(include_header=False))


def _write_parquet(table: "pyarrow.Table", path: Path) -> None:
    from pyarrow.parquet import write_table

    write_table(table, os.fspath(path))


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
