"""A fitted column in words."""

from collections.abc import Iterable

import numpy as np

from densiflow.table import spelled
from densiflow.table.columns import Column
from densiflow.table.sample import family_of
from densiflow.table.schema import Schema

SHOWN = 6  # levels and points that are told


def meaning(column: Column, schema: Schema, i: int) -> str:
    """What the number that the model gives for a cell of column `i` is."""
    if column.scale is None:
        return "mass" if column.states else "none, left out"
    parts = ["mass at points"] * bool(column.points) + ["mass of missing"] * column.is_missing
    if column.grid is None:
        value = "density"
    else:
        step = spelled.told_step(column.grid.width, family_of(schema, i))
        value = f"mass of a cell of width {step}" if column.is_cell else f"density, rounded to steps of {step}"
    return ", ".join([*parts, value + " elsewhere" * bool(parts)])


def described(column: Column, schema: Schema, i: int) -> str:
    """The kind of column `i`, and what else there is to say, in one line."""
    family, levels = family_of(schema, i), schema.levels[i]
    parts = [column.kind]
    if levels is not None and column.states:
        parts.append(f"{len(levels)} levels: {_few(map(repr, levels), len(levels))}")
    elif column.points:
        told = [spelled.told(point, family) for point in column.points]
        parts.append(
            ("" if len(told) == 1 else f"{len(told)} ") + f"point{'s' * (len(told) > 1)}: {_few(told, len(told))}"
        )
    if column.turn is not None:
        parts.append(f"circle of {spelled.told_step(column.turn.period, family)}")
    elif column.scale is not None and (np.isfinite(column.low) or np.isfinite(column.high)):
        ends = [
            f"{word} {spelled.told(end, family)}"
            for word, end in (("at least", column.low), ("at most", column.high))
            if np.isfinite(end)
        ]
        parts.append(" ".join(ends))
    if column.seen is not None and column.turn is None:
        parts.append(f"seen {spelled.told(column.seen[0], family)} to {spelled.told(column.seen[1], family)}")
    if column.grid is not None:
        parts.append(f"steps of {spelled.told_step(column.grid.width, family)}")
    if column.is_missing:
        parts.append("missing cells")
    return ", ".join(parts)


def _few(told: Iterable[str], count: int) -> str:
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return ", ".join(list(told)[:SHOWN]) + more
