"""Compiled programs kept between commands, in a folder of the user's that may be emptied at any time.

Only the command line keeps them: the library leaves JAX's settings alone.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from densiflow import user_cache

LARGEST = 256 * 2**20  # bytes kept; what was used longest ago goes first

NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        envvar="DENSIFLOW_NO_CACHE",
        help="Keep no compiled programs for the next command.",
        show_envvar=True,
    ),
]


@contextmanager
def programs_kept(no_cache: bool = False) -> Iterator[None]:
    """What JAX compiles inside is kept in `folder`, and taken from there where it has been compiled before.

    Nothing changes where the user has given JAX a folder (``JAX_COMPILATION_CACHE_DIR``), where ours can't be
    written, or if there is to be no cache. The settings are as before afterwards.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    if no_cache or jax.config.values["jax_compilation_cache_dir"] or not _prepared(folder()):
        yield
        return
    settings = {
        "jax_compilation_cache_dir": str(folder()),
        "jax_persistent_cache_min_compile_time_secs": 0.0,  # small programs take most of a short command's time
    }
    before = {name: jax.config.values[name] for name in settings}
    compilation_cache.reset_cache()  # JAX looks at its settings when it compiles for the first time
    with warnings.catch_warnings():
        # a broken entry, a full disk: it compiles then
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        try:
            _set(settings)
            yield
        finally:
            _set(before)
            compilation_cache.reset_cache()


def folder() -> Path:
    """Where programs are kept."""
    return user_cache.folder("programs")


def _set(settings: dict[str, object]) -> None:
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)


def _prepared(kept: Path) -> bool:
    """Make the folder, the user's own, and thin it out; False if it can't be written to."""
    try:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(kept, os.W_OK):
            return False
        _thin_out(kept)
    except OSError:
        return False
    return True


def _thin_out(kept: Path) -> None:
    """Delete what was used longest ago until at most `LARGEST` bytes are left."""
    found = [(entry, entry.stat()) for entry in os.scandir(kept) if entry.is_file()]
    size = 0
    for entry, stat in sorted(found, key=lambda pair: max(pair[1].st_atime, pair[1].st_mtime), reverse=True):
        size += stat.st_size
        if size > LARGEST:
            Path(entry).unlink(missing_ok=True)
