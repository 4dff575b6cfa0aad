"""A table's columns as a fitted model reads them: text that spells dates are dates, and identifiers are left out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.judge.abilities import names_of
from densiflow.judge.columns import Cells, Meaning, columns_of, height
from densiflow.table import Schema
from densiflow.table.as_fitted import as_fitted
from densiflow.table.encode import Encoder
from densiflow.table.sample import family_of

Floats = NDArray[Any]

UNKNOWN = "(new)"  # a label that was not there in fitting


def columns_seen(model: Any, table: Any) -> list[Cells]:
    """The columns of a table that a model models, in the model's order; the table's own where it has no encoder.

    Raises `TableError` for a table that does not fit the model.
    """
    encoder = getattr(model, "encoder_", None)
    if encoder is None:
        return columns_of(table)
    kept = kept_columns(model)
    schema: Schema = encoder.schema
    return _columns(schema, as_fitted(encoder, table, "the table", mixed=True), kept, names_of(model, schema.width))


def context_seen(model: Any, context: Any) -> list[Cells]:
    """The context columns as a model reads them, none where there is no context."""
    if context is None:
        return []
    encoder = getattr(model, "context_encoder_", None)
    if encoder is None:
        return columns_of(context)
    names = [f"context {key}" for key in encoder.schema.keys]
    return _columns(encoder.schema, as_fitted(encoder, context, "the context", mixed=True), encoder.kept, names)


def whole_rows(model: Any, table: Any) -> NDArray[np.bool_]:
    """(n,): the rows of which every cell says something: none is missing where the model knows of no missing cells."""
    encoder = getattr(model, "encoder_", None)
    if not isinstance(encoder, Encoder):
        return np.ones(height(table), bool)
    says = encoder.says_something(as_fitted(encoder, table, "the table", mixed=True))
    return np.asarray(says.all(axis=1))


def kept_columns(model: Any) -> list[int]:
    """The places of the columns that are modelled: all but identifiers."""
    kept: list[int] = model.encoder_.kept
    return kept


def kept_of(model: Any, values: Floats) -> Floats:
    """Numbers of each column (n, columns) without those of identifiers."""
    encoder = getattr(model, "encoder_", None)
    if encoder is None or values.shape[1] != encoder.schema.width:
        return values
    return values[:, kept_columns(model)]


def _columns(schema: Schema, matrix: Floats, kept: list[int], names: list[str]) -> list[Cells]:
    found = []
    for i in kept:
        levels, meaning = schema.levels[i], _meaning(schema, i)
        labels: tuple[str, ...] = ("false", "true") if meaning == "label" else ()
        if levels is not None:
            labels = tuple(str(level) for level in levels)
            if np.any(matrix[:, i] == len(levels)):
                labels = (*labels, UNKNOWN)
        found.append(Cells(names[i], matrix[:, i], meaning, labels))
    return found


def _meaning(schema: Schema, column: int) -> Meaning:
    if schema.levels[column] is not None:
        return "label"
    meanings: dict[str | None, Meaning] = {"boolean": "label", "instant": "date", "time of day": "time"}
    return meanings.get(family_of(schema, column), "number")
