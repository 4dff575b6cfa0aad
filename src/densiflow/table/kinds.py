"""Kinds of columns: from a user's word, or what is read from the cells, to a fitted `Column`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densiflow.errors import TableError
from densiflow.table.columns import Column
from densiflow.table.columns.base import Floats
from densiflow.table.detect import kind_of
from densiflow.table.sample import Sample, sample_of
from densiflow.table.schema import Schema
from densiflow.table.values import fit_value

IDENTIFIER = "identifier"
Fit = Callable[[str, Sample, Mapping[str, Any]], Column]


def fit_column(
    schema: Schema, i: int, cells: Floats, weight: Floats, spec: Mapping[str, Any] | None, detect: bool
) -> Column:
    """Column `i` fitted to its cells (n,), as the kind that `spec` says or that is read from the cells."""
    sample = sample_of(schema, i, cells, weight, detect)
    spec = kind_of(sample) if spec is None else spec
    kind = spec["kind"]
    if len(sample.values) == 0 and kind != IDENTIFIER:
        kind = "constant"
    return KINDS[kind](kind, sample, spec)


def _levels(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Column:
    """A state for each level, whether or not a row has it; for numbers, each different one."""
    if sample.levels is not None:
        points = np.arange(float(len(sample.levels)))
    elif kind == "boolean":
        points = np.array([0.0, 1.0])
        if not np.isin(sample.values, points).all():
            raise TableError(f"{sample.label} must hold 0 and 1 alone for the kind 'boolean'")
    else:
        points = sample.distinct[0]
    return Column(kind, tuple(points.tolist()), sample.is_missing)


def _constant(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Column:
    """The one number there is, or none where every cell is missing."""
    points = sample.distinct[0] if len(sample.values) else np.empty(0)
    if len(points) > 1:
        raise TableError(
            f"{sample.label} is said to be constant, but holds {points[0]} and {points[1]}; give it another kind"
        )
    return Column(kind, tuple(points.tolist()), sample.is_missing)


def _identifier(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Column:
    return Column(kind)


KINDS: dict[str, Fit] = {
    "real": fit_value,
    "rounded": fit_value,
    "positive": fit_value,
    "bounded": fit_value,
    "skewed": fit_value,
    "count": fit_value,
    "periodic": fit_value,
    "date": fit_value,
    "category": _levels,
    "boolean": _levels,
    "constant": _constant,
    "identifier": _identifier,
}
