"""What ``--given NAME=VALUE`` gives: a row of context, or cells of columns that the model models."""

import datetime
from collections.abc import Sequence
from typing import Any

from densiflow.cli.options import column_name, context_names
from densiflow.errors import ArgumentError, ContextError

TRUE, FALSE = ("true", "1"), ("false", "0")


def given_values(density: Any, given: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """One row of the context columns as an arrow table, None if the model takes none, and cells of other columns.

    Raises `ContextError` or `ArgumentError` that names what is missing, unknown, given twice or no value of its
    column.
    """
    context, modelled = context_names(density), _modelled(density.encoder_)
    texts = _pairs(given, [*context, *modelled])
    unknown = [name for name in texts if name not in context and name not in modelled]
    if unknown:
        has = f"the context columns {', '.join(context)}" if context else "no context"
        raise ContextError(
            f"--given names {unknown[0]!r}, but the model has {has} and models {', '.join(modelled) or 'no names'}"
        )
    missing = [name for name in context if name not in texts]
    if missing:
        raise ContextError(
            f"the model is conditional on {', '.join(context)}; missing: {', '.join(missing)}; "
            f"give --given {missing[0]}=VALUE"
        )
    fixed = {name: _cell(density.encoder_.schema, name, text) for name, text in texts.items() if name not in context}
    for name, cell in fixed.items():
        _check_possible(density.encoder_, name, cell)
    if not context:
        return None, fixed
    import pyarrow as pa

    schema = density.context_encoder_.schema
    return pa.table({name: [_cell(schema, name, texts[name])] for name in context}), fixed


def _modelled(encoder: Any) -> list[str]:
    """The columns that can be given by name."""
    return [encoder.schema.names[i] for i in encoder.kept] if encoder.schema.names else []


def _pairs(given: Sequence[str], present: Sequence[str]) -> dict[str, str]:
    """Names and values. A value follows the last equals sign, since names may hold others."""
    texts: dict[str, str] = {}
    for pair in given:
        left, equals, text = pair.rpartition("=")
        name = column_name(left, present)
        if not equals:
            raise ArgumentError(f"--given takes NAME=VALUE, got {pair!r}")
        if name in texts:
            raise ArgumentError(f"--given {name!r} is given twice, as {texts[name]} and as {text}; give it once")
        texts[name] = text
    return texts


def _cell(schema: Any, name: str, text: str) -> Any:
    """The cell that a text spells, of the kind of cells that the column had in fitting."""
    from densiflow.table.refusals import listed
    from densiflow.table.sample import family_of

    place = schema.names.index(name)
    family, levels, spelling = family_of(schema, place), schema.levels[place], schema.formats[place]
    if family == "boolean":
        return _boolean(name, text)
    if levels is not None:
        found = [level for level in levels if str(level) == text]
        if not found:
            raise ArgumentError(f"--given {name} must be one of {listed(levels)}, got {text!r}")
        return found[0]
    if family in ("instant", "time of day"):
        return _instant(name, text, spelling, is_time=family == "time of day")
    if family == "duration":
        raise ArgumentError(f"--given {name} is a duration, which a command can't give; use the model from Python")
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"--given {name} must be a number, got {text!r}") from None


def _check_possible(encoder: Any, name: str, cell: Any) -> None:
    """Raise `ArgumentError` for a number that the column can't have."""
    import numpy as np

    place = encoder.schema.names.index(name)
    if isinstance(cell, float) and encoder.columns[place].encode(np.array([cell]))[1][0] == -np.inf:
        raise ArgumentError(
            f"--given {name}={cell:g} is impossible in the model, whose column is {encoder.described[place]}"
        )


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ArgumentError(f"--given {name} must be true or false, got {text!r}")
    return text.lower() in TRUE


def _instant(name: str, text: str, spelling: str | None, is_time: bool) -> Any:
    """A date or time as text, where it was text in fitting, or as the object that an ISO text spells."""
    import numpy as np

    from densiflow.table import spelled

    if spelling is not None and "%" in spelling:
        if not np.isnan(spelled.parsed([text], spelling)[0]):
            return text
        example = spelled.spelled(np.zeros(1), spelling)[0]
        raise ArgumentError(f"--given {name} must be spelled like {example}, got {text!r}")
    try:
        return (datetime.time if is_time else datetime.datetime).fromisoformat(text)
    except ValueError:
        example = "17:24:00" if is_time else "2006-12-16 17:24:00"
        raise ArgumentError(f"--given {name} must be spelled like {example}, got {text!r}") from None
