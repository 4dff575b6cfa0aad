"""What a user says of columns: a kind, perhaps with options, in Python or in a JSON file."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densiflow.errors import ArgumentError, MissingFileError
from densiflow.table.refusals import listed, shown
from densiflow.table.schema import Schema

Spec = str | Mapping[str, Any]
ENDS = ("low", "high")

# the options that each kind takes
OPTIONS: dict[str, tuple[str, ...]] = {
    "real": (*ENDS, "step", "atoms"),
    "rounded": (*ENDS, "step", "atoms"),
    "positive": (*ENDS, "step", "atoms"),
    "bounded": (*ENDS, "step", "atoms"),
    "skewed": (*ENDS, "step", "atoms"),
    "count": (*ENDS, "step", "atoms"),
    "periodic": ("period", "low", "step", "atoms"),
    "date": ("step", "atoms"),
    "category": (),
    "boolean": (),
    "constant": (),
    "identifier": (),
}


def checked_kinds(kinds: Any, schema: Schema) -> dict[Any, dict[str, Any]]:
    """For each column named, its kind and options; `ArgumentError` for what does not exist or can't be."""
    kinds = {} if kinds is None else kinds
    if not isinstance(kinds, Mapping):
        raise ArgumentError(
            f"columns must be a mapping from column to kind, such as {{'price': 'real'}}, got {shown(kinds)}"
        )
    for key in kinds:
        if key not in schema.keys:
            raise ArgumentError(f"there is no column {key!r} to give a kind to; there are {listed(schema.keys)}")
    return {key: _checked(key, spec) for key, spec in kinds.items()}


def read_schema(path: str | os.PathLike[str]) -> dict[str, Spec]:
    """The kinds in a JSON file: an object such as ``{"price": "positive", "share": {"kind": "bounded", "low": 0}}``.

    Raises `MissingFileError` where there is no file, `ArgumentError` for what is no such object.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/schema.json").write_text('{"price": "positive"}')
    ...     read_schema(f"{folder}/schema.json")
    {'price': 'positive'}
    """
    if not Path(path).is_file():
        raise MissingFileError(f"there is no file {path}")
    try:
        kinds = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ArgumentError(f"can't read {path} as JSON: {' '.join(str(error).split())}") from None
    if not isinstance(kinds, dict):
        raise ArgumentError(
            f'{path} must hold an object from column to kind, such as {{"price": "positive"}}, got {shown(kinds)}'
        )
    for key, spec in kinds.items():
        _checked(key, spec)
    return kinds


def _checked(key: Any, spec: Any) -> dict[str, Any]:
    options = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
    kind = options.get("kind")
    if not isinstance(kind, str) or kind not in OPTIONS:
        raise ArgumentError(
            f"the kind of column {key!r} must be one of {', '.join(map(repr, sorted(OPTIONS)))}, got {kind!r}"
        )
    for name, value in options.items():
        if name != "kind":
            _check_option(key, kind, name, value)
    low, high = options.get("low"), options.get("high")
    if low is not None and high is not None and not low < high:
        raise ArgumentError(f"column {key!r} must have its low below its high, got {low} and {high}")
    if kind == "periodic" and options.get("period") is None:
        raise ArgumentError(f"the kind of column {key!r} needs a period, such as {{'kind': 'periodic', 'period': 360}}")
    return options


def _check_option(key: Any, kind: str, name: Any, value: Any) -> None:
    if name not in OPTIONS[kind]:
        offered = f"takes {listed(OPTIONS[kind])}" if OPTIONS[kind] else "takes no options"
        raise ArgumentError(f"column {key!r}: there is no option {name!r} of the kind {kind!r}, which {offered}")
    if name == "atoms":
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(_is_number, value)):
            raise ArgumentError(f"column {key!r}: atoms must be a list of numbers, got {shown(value)}")
        return
    if value is None and name in (*ENDS, "step"):
        return
    if not _is_number(value) or (name in ("period", "step") and value < 0) or (name == "period" and value == 0):
        wanted = "a number above 0" if name == "period" else "a number, 0 or more" if name == "step" else "a number"
        raise ArgumentError(f"column {key!r}: {name} must be {wanted}, got {shown(value)}")


def _is_number(value: Any) -> bool:
    is_boolean = isinstance(value, bool | np.bool_)
    return isinstance(value, int | float | np.number) and not is_boolean and bool(np.isfinite(float(value)))
