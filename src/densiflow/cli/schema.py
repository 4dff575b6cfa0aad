"""Kinds of columns in a JSON file: what ``densiflow info TABLE --json`` prints, for ``densiflow fit --schema``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from densiflow.errors import ArgumentError, MissingFileError


def read_kinds(path: str, present: Sequence[str]) -> dict[str, Any]:
    """The kinds that a file gives to the columns `present`, by name.

    The file holds ``{"columns": {"price": {"kind": "positive"}, ...}}``, or what stands inside alone. Raises
    `MissingFileError` where there is no file, `ArgumentError` for what is no strict JSON or no such object, and for a
    column, a kind or an option that does not exist.
    """
    from densiflow.table.options import checked_kinds
    from densiflow.table.schema import Schema

    held = _strictly_read(path)
    kinds = held["columns"] if _is_wrapped(held) else held
    try:
        checked = checked_kinds(kinds, Schema(tuple(present), ("double",) * len(present), "arrow"))
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from None
    return {name: _hashable(spec) for name, spec in checked.items()}


def _is_wrapped(held: Any) -> bool:
    """Whether the kinds stand in "columns"; a column of that name has a kind, which is text."""
    inside = held.get("columns") if isinstance(held, Mapping) else None
    return isinstance(inside, Mapping) and not isinstance(inside.get("kind"), str)


def _strictly_read(path: str) -> Any:
    if not Path(path).is_file():
        raise MissingFileError(f"there is no file {path}")
    try:
        return json.loads(Path(path).read_text("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_once_each)
    except (ValueError, OSError) as error:
        raise ArgumentError(f"can't read {path} as JSON: {error}") from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in strict JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return dict(pairs)


def _hashable(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {option: tuple(value) if isinstance(value, list) else value for option, value in spec.items()}
