"""The fitting of columns that have a value."""

from collections.abc import Mapping
from typing import Any

from densiflow.table.columns import Column, Real
from densiflow.table.sample import Sample


def fit_value(kind: str, sample: Sample, spec: Mapping[str, Any]) -> Column:
    """A column of numbers."""
    return Column(kind, (), sample.is_missing, Real.fit(sample.values, sample.weight))
