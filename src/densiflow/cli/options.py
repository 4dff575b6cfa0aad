"""Options that several commands share."""

import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from densiflow.errors import ArgumentError, ContextError

Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress and no summary.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def names(values: Sequence[str], present: Sequence[str]) -> list[str]:
    """Column names from an option that repeats or takes commas, for a table with the columns `present`.

    What is a column as it stands is that column, commas and spaces and all.

    >>> names(["u, g", "r, corrected"], ["u", "g", "r, corrected"])
    ['u', 'g', 'r, corrected']
    """
    parts = [part for value in values for part in ([value] if value in present else value.split(","))]
    found = [column_name(part, present) for part in parts]
    if "" in found and "" not in present:
        raise ArgumentError(f"an empty column name in {','.join(values)!r}: write names with single commas between")
    repeated = sorted({name for name in found if found.count(name) > 1})
    if repeated:
        raise ArgumentError(f"column {repeated[0]!r} is named twice")
    return found


def column_name(text: str, present: Sequence[str]) -> str:
    """The text as it stands if that is one of the columns `present`, else without spaces around it."""
    return text if text in present else text.strip()


def whole_number(least: int) -> Callable[[str], int]:
    """The parser of an option that takes whole numbers from `least` on."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"expected a whole number, got {text!r}") from None
        if number < least:
            raise typer.BadParameter(f"expected a whole number of at least {least}, got {number}")
        return number

    return parse


def fitted_table(model: str) -> Any:
    """The density in a model file; `ArgumentError` where the file holds a flow without its table, or another model."""
    from densiflow.estimators import FlowDensity
    from densiflow.files import load

    loaded = load(model)
    if not isinstance(loaded, FlowDensity):
        raise ArgumentError(
            f"{model} holds a {type(loaded).__name__}, and not the density of a table's columns; "
            f"use it from Python, or fit a table with densiflow fit"
        )
    return loaded


def context_names(model: Any) -> list[str]:
    """The names of the context columns of a fitted model, none if it takes no context.

    Raises `ContextError` where they have no names, since a command can't tell them apart then.
    """
    encoder = model.context_encoder_
    if encoder is None:
        return []
    if encoder.schema.names is None:
        raise ContextError(
            "the model's context columns have no names, so a command can't give them; "
            "use it from Python, or fit it with a context whose columns have names"
        )
    return [encoder.schema.names[i] for i in encoder.kept]


def check_not_read(option: str, output: str, **read: str | Sequence[str] | None) -> None:
    """Raise `ArgumentError` for an output that would overwrite one of the files `read`, given by what they are."""
    target = os.path.realpath(output)
    for what, paths in read.items():
        for path in [paths] if isinstance(paths, str) else paths or []:
            if target == os.path.realpath(path):
                raise ArgumentError(f"{option} {output} would overwrite the {what} it is made from; name another file")
            if os.path.isdir(path) and os.path.dirname(target) == os.path.realpath(path):
                raise ArgumentError(
                    f"{option} {output} would stand in the folder that the {what} is read from; name another folder"
                )


def check_table_output(path: str) -> None:
    """Raise at once for a table's file that could not be written after the work."""
    from densiflow.atomic import check_writable
    from densiflow.table.files import check_ending

    check_ending(path)
    check_writable(path)
