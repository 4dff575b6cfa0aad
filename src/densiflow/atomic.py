"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from densiflow.errors import OutputPathError

LONGEST_ENDING = 32  # of a temporary file's name: it stays last, since some writers choose a format by it


def check_writable(path: str | os.PathLike[str]) -> Path:
    """The real path to write to; `OutputPathError` if it can't be written. Called before long work as well."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputPathError(f"can't write {path}: it is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise OutputPathError(f"can't write {path}: it is not a regular file")
    if not target.parent.is_dir():
        raise OutputPathError(f"can't write {path}: the folder {target.parent} does not exist; make it first")
    if not os.access(target.parent, os.W_OK):
        raise OutputPathError(f"can't write {path}: the folder {target.parent} is not writable")
    return target


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the name `path` only once it is complete.

    Raises `OutputPathError` for a path that can't be written; nothing is left behind then, nor after Ctrl-C.
    """
    target = check_writable(path)
    part = target.with_name(f".part-{token_hex(8)}{target.suffix[-LONGEST_ENDING:]}")
    try:
        yield part
        os.replace(part, target)
    except OSError as error:
        raise OutputPathError(f"can't write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
