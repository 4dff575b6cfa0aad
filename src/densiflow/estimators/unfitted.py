"""From an estimator's arguments to the flow that training starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import jax
import numpy as np

from densiflow import precision, recipes
from densiflow.bases import StudentT
from densiflow.errors import ArgumentError, ShapeError
from densiflow.estimators import mixed_rows
from densiflow.estimators.auto import Choices, choose, choose_mixed
from densiflow.flow import Flow
from densiflow.table.as_fitted import as_fitted
from densiflow.table.encode import Encoder
from densiflow.table.schema import Schema

MIXED = "mixed"


def reads_kinds(flow: Any) -> bool:
    """Whether the columns may be of any kind: a recipe or a `Flow` takes real numbers alone."""
    return isinstance(flow, str) and flow in ("auto", MIXED)


def check_cells(flow: Any, encoder: Encoder, table: Any) -> None:
    """Raise `TableError` for missing cells where `fit` does: scikit-learn's rule is that ``predict`` then does too."""
    if not reads_kinds(flow):
        as_fitted(encoder, table, "the table", mixed=False)


def detects(schema: Schema, columns: Any) -> bool:
    """Whether the kinds of columns are read from their cells: those of frames are; an array's numbers are real."""
    if isinstance(columns, str):
        if columns not in ("auto", "real"):
            raise ArgumentError(f"columns must be a mapping from column to kind, 'auto' or 'real', got {columns!r}")
        return columns == "auto"
    return schema.container != "numpy" or "object" in schema.dtypes


def kinds_of(columns: Any, schema: Schema, context: Schema | None) -> tuple[Any, Any]:
    """The kinds that are given by column: those of the table's, and those of names that only its context has."""
    if isinstance(columns, str):
        return None, None
    if context is None or not isinstance(columns, Mapping):
        return columns, None
    theirs = {key for key in columns if key in (context.names or ()) and key not in schema.keys}
    ours = {key: spec for key, spec in columns.items() if key not in theirs}
    return ours, {key: columns[key] for key in theirs}


def choices_for(estimator: Any, rows: int, encoder: Encoder) -> Choices:
    """The settings for that many rows of such a table, where the estimator's arguments leave them open."""
    if _is_mixed(estimator.flow, encoder):
        chosen = choose_mixed(rows, len(encoder.variables))
    else:
        chosen = replace(choose(rows, encoder.schema.width), flow=_name(estimator.flow))
        if estimator.flow != "auto":
            chosen = replace(chosen, degrees_of_freedom=None)
        if not _takes_layers(estimator.flow):
            chosen = replace(chosen, layers=1)
    given = {
        "layers": estimator.layers if chosen.flow == MIXED or _takes_layers(estimator.flow) else None,
        "hidden": tuple(estimator.hidden) if isinstance(estimator.hidden, Sequence) else estimator.hidden,
        "activation": estimator.activation,
        "batch_size": estimator.batch_size,
        "weight_decay": estimator.weight_decay,
    }
    return chosen.overruled(**given)


def _is_mixed(flow: Any, encoder: Encoder) -> bool:
    """Whether rows are modelled one variable after the other; `ArgumentError` where the flow asked for can't be."""
    if encoder.plain:
        return isinstance(flow, str) and flow == MIXED
    if reads_kinds(flow):
        return True
    column = next(v.column for v in encoder.variables if v.size or v.cell)
    raise ArgumentError(
        f"the flow asked for models real numbers alone, but {encoder.schema.spoken[column]} is of the kind "
        f"{encoder.columns[column].kind!r}: take flow='auto', or give the column the kind 'real'"
    )


def unfitted(estimator: Any, key: jax.Array, encoder: Encoder, context_dim: int, choices: Choices) -> Flow:
    """The flow to fit to the rows of an encoder."""
    dim = encoder.width
    if isinstance(estimator.flow, Flow):
        return _given(estimator.flow, estimator.dtype, dim, context_dim)
    network = {"activation": choices.activation, "dtype": estimator.dtype}
    if choices.flow == MIXED:
        size = {"width": choices.hidden[0], "blocks": choices.layers}
        return mixed_rows.unfitted(key, encoder, context_dim, **size, **network)
    options: dict[str, Any] = {"layers": choices.layers} if _takes_layers(estimator.flow) else {}
    if choices.degrees_of_freedom is not None:
        options["base"] = StudentT(dim, choices.degrees_of_freedom, dtype=estimator.dtype)
    return _recipe(estimator.flow)(key, dim, context_dim, hidden=choices.hidden, **network, **options)


def dtype_to_fit(estimator: Any) -> np.dtype[Any] | None:
    """The floating type asked for, None for JAX's own."""
    if estimator.dtype is not None:
        return precision.named(estimator.dtype)
    return estimator.flow.dtype if isinstance(estimator.flow, Flow) else None


def _given(flow: Flow, dtype: Any, dim: int, context_dim: int) -> Flow:
    if (flow.dim, flow.context_dim) != (dim, context_dim):
        raise ShapeError(
            f"the flow given takes {flow.dim} columns and {flow.context_dim} context columns, "
            f"the table has {dim} and {context_dim}"
        )
    return flow if dtype is None else precision.cast(flow, dtype)


def _recipe(flow: Any) -> recipes.Recipe:
    if isinstance(flow, str) and flow == "auto":
        return recipes.maf
    if not (isinstance(flow, str) and flow in recipes.RECIPES):
        known = ", ".join(sorted(recipes.RECIPES))
        raise ArgumentError(f"flow must be auto, mixed, a recipe ({known}) or a Flow, got {flow!r}")
    return recipes.RECIPES[flow]


def _takes_layers(flow: Any) -> bool:
    return isinstance(flow, Flow) or "layers" in signature(_recipe(flow)).parameters


def _name(flow: Any) -> str:
    return "given" if isinstance(flow, Flow) else "maf" if flow == "auto" else str(flow)
