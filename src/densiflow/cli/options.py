"""Options that several commands share."""

from typing import Any

from densiflow.errors import ArgumentError


def names(values: list[str] | None) -> list[str]:
    """Column names from an option that repeats or takes commas.

    >>> names(["u,g", "r"])
    ['u', 'g', 'r']
    """
    found = [name.strip() for value in values or [] for name in value.split(",")]
    if "" in found:
        raise ArgumentError(
            f"an empty column name in {','.join(values or [])!r}: write names with single commas between"
        )
    repeated = sorted({name for name in found if found.count(name) > 1})
    if repeated:
        raise ArgumentError(f"column {repeated[0]!r} is named twice")
    return found


def fitted_table(model: str) -> Any:
    """The estimator in a model file; `ArgumentError` where the file holds a flow without its table."""
    from densiflow.estimators import FlowDensity
    from densiflow.files import load

    loaded = load(model)
    if not isinstance(loaded, FlowDensity):
        raise ArgumentError(
            f"{model} holds a {type(loaded).__name__} without a table's columns; "
            f"use it from Python, or fit a table with densiflow fit"
        )
    return loaded


def context_names(model: Any) -> list[str]:
    """The names of the context columns of a fitted model, none if it takes no context."""
    encoder = model.context_encoder_
    return [] if encoder is None or encoder.schema.names is None else list(encoder.schema.names)


def check_table_output(path: str) -> None:
    """Raise at once for a table's file that could not be written after the work."""
    from densiflow.atomic import check_writable
    from densiflow.table.files import check_ending

    check_ending(path)
    check_writable(path)
