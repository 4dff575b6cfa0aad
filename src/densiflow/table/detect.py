"""The kind of a column read from its cells. What is in doubt is "real"."""

from typing import Any

from densiflow.table.sample import Sample

FEWEST_ROWS = 100  # of numbers in fewer rows nothing is concluded


def kind_of(sample: Sample) -> dict[str, Any]:
    """The kind of a column, with options, for numbers, labels and instants."""
    if sample.levels is not None or sample.family == "boolean":
        return {"kind": _of_labels(sample)}
    return {"kind": "real"}


def _of_labels(sample: Sample) -> str:
    if sample.looks and len(sample.distinct[0]) == 1:
        return "constant"
    return "boolean" if sample.family == "boolean" else "category"
