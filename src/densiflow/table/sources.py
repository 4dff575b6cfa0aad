"""Where a table comes from: a file, several files, a folder of Parquet files, stdin."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from densiflow.errors import ArgumentError, MissingFileError, TableError

if TYPE_CHECKING:
    import pyarrow

STDIN = "-"
TEXT = (".csv", ".tsv", ".txt", ".data")
ENDINGS = (*TEXT, ".parquet")
PARQUET_STARTS = b"PAR1"

StrPath = str | os.PathLike[str]
Source = StrPath | Sequence[StrPath]


@dataclass(frozen=True)
class Part:
    """One file of a table: its name in messages, its format, and what came of it on stdin."""

    name: str
    is_parquet: bool
    came: "pyarrow.Buffer | None" = None

    @property
    def format(self) -> str:
        """As messages name it."""
        return "Parquet" if self.is_parquet else "CSV"


def parts_of(source: Source) -> list[Part]:
    """The files of a table, those of a folder in the order of their names; stdin is read here.

    Raises `ArgumentError` for no file or another ending, `TableError` for a folder without Parquet files.
    """
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not sources:
        raise ArgumentError("a table must come from at least one file, got none")
    return [part for one in sources for part in _parts_of_one(one)]


def part_of_file(path: StrPath) -> Part:
    """The file itself, not read yet; `ArgumentError` unless its ending is one of `ENDINGS`.

    >>> part_of_file("rows.TSV")
    Part(name='rows.TSV', is_parquet=False, came=None)
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ArgumentError(
            f"a table's file must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, got {os.fspath(path)!r}"
        )
    return Part(os.fspath(path), ending == ".parquet")


@contextmanager
def reading(part: Part) -> Iterator[None]:
    """Raise `MissingFileError` where there is no file, and `TableError` for what arrow finds wrong with it inside."""
    import pyarrow

    if part.came is None and not Path(part.name).exists():
        raise MissingFileError(f"there is no file {part.name}")
    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableError(f"can't read {part.name} as {part.format}: {' '.join(str(error).split())}") from None


def _parts_of_one(source: StrPath) -> list[Part]:
    if os.fspath(source) == STDIN:
        return [_part_of_stdin()]
    return _parts_of_folder(Path(source)) if Path(source).is_dir() else [part_of_file(source)]


def _parts_of_folder(folder: Path) -> list[Part]:
    # what begins with a dot or an underscore other programs keep for themselves
    members = sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".parquet" and path.name[0] not in "._"
    )
    if not members:
        raise TableError(f"the folder {folder} holds no .parquet files; give one that does, or name the files")
    return [part_of_file(path) for path in members]


def _part_of_stdin() -> Part:
    import pyarrow

    data = sys.stdin.buffer.read()
    return Part("stdin", data.startswith(PARQUET_STARTS), pyarrow.py_buffer(data))
