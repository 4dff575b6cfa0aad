"""The kind of a column read from its cells. What is in doubt is "real"."""

import re
from typing import Any

import numpy as np

from densiflow.table.columns import Real
from densiflow.table.columns.base import Floats
from densiflow.table.gridded import grid_of, points_of
from densiflow.table.quantiles import weighted_quantiles
from densiflow.table.sample import Sample
from densiflow.table.shape import is_far_from_normal

FEWEST_ROWS = 100.0  # of numbers in fewer rows nothing is concluded
MOST_LEVELS = 64
DAY = 86_400_000_000

# texts: so many rows with hardly any said twice name rows
FEWEST_NAMES = 20
UNIQUE_TEXT = 0.8
DENSE = 1.5  # a running number takes no more than so many times the rows
HUGE = 2.0**53  # up to here float64 holds every integer
LARGEST_ID = 2.0**64
ID = re.compile(r"(^|[^a-zA-Z])id$|ID$|Id$|obj_?id$|uuid$|guid$|key$|[a-z]id$")
NATURAL = ((0.0, 1.0), (0.0, 100.0), (-1.0, 1.0))  # ends that numbers between them have, if they come near to both
NEAR = 0.005


def kind_of(sample: Sample) -> dict[str, Any]:
    """The kind of a column, with options, for numbers, labels and instants."""
    if sample.looks and len(sample.distinct[0]) == 1:
        return {"kind": "constant"}
    if sample.levels is not None or sample.family == "boolean":
        return {"kind": _of_labels(sample)}
    if sample.family == "time of day":
        return {"kind": "periodic", "period": DAY, "low": 0}
    if sample.family == "instant":
        return {"kind": "date"}
    if not sample.looks or sample.size < FEWEST_ROWS:
        return {"kind": "real"}
    return {"kind": "identifier"} if _numbers_rows(sample) else _of_numbers(sample)


def _of_labels(sample: Sample) -> str:
    if sample.family == "boolean":
        return "boolean"
    count = len(sample.distinct[0])
    is_name = sample.looks and count >= FEWEST_NAMES and count >= UNIQUE_TEXT * len(sample.values)
    return "identifier" if is_name else "category"


def _numbers_rows(sample: Sample) -> bool:
    """Whether the numbers only name rows: a running number, or an integer too long to have been measured."""
    values = sample.distinct[0]
    if not (values == np.rint(values)).all():
        return False
    if np.abs(values).min() >= HUGE and np.abs(values).max() < LARGEST_ID:
        return sample.is_exact or bool(ID.search(str(sample.key)))
    is_unique = len(values) == len(sample.values)
    return is_unique and float(np.ptp(values)) + 1 <= DENSE * len(values)


def _of_numbers(sample: Sample) -> dict[str, Any]:
    values, share = sample.distinct
    if values.tolist() == [0.0, 1.0]:
        return {"kind": "boolean"}
    points = points_of(values, share, sample.size)
    is_rest, kept = ~np.isin(values, points), ~np.isin(sample.values, points)
    grid = grid_of(values[is_rest], share[is_rest], single=sample.is_single, exact=sample.is_exact)
    if len(values) <= MOST_LEVELS and grid is None:
        grid = grid_of(values, share, single=sample.is_single, exact=sample.is_exact)
    if grid is not None:
        is_count = grid.decimals == 0 and grid.step == 1 and values[0] >= 0
        if is_count and (values == np.rint(values)).all():
            return {"kind": "count"}
        is_listed = len(values) <= MOST_LEVELS
        return {
            "kind": "positive"
            if not is_listed and _is_positive(sample.values[kept], sample.weight[kept])
            else "rounded"
        }
    kind = _of_shape(sample.values[kept], sample.weight[kept])
    return {**kind, "atoms": points.tolist(), **_ends(kind, values, points)} if len(points) else kind


def _ends(kind: dict[str, Any], values: Floats, points: Floats) -> dict[str, float]:
    """Where real numbers end in a point of mass they end there, as those of other kinds do."""
    if kind["kind"] != "real":
        return {}
    ends = {"low": float(values[0]), "high": float(values[-1])}
    return {name: end for name, end in ends.items() if end in points}


def _of_shape(values: Floats, weight: Floats) -> dict[str, Any]:
    """The kind of numbers of any digits."""
    if len(values) < FEWEST_ROWS:
        return {"kind": "real"}
    for low, high in NATURAL:
        margin = NEAR * (high - low)
        near_both = low <= values.min() < low + margin and high - margin < values.max() <= high
        if near_both and len(values) * NEAR >= 1:
            return {"kind": "bounded", "low": low, "high": high}
    if not is_far_from_normal(Real.fit(values, weight), values, weight):
        return {"kind": "real"}
    return {"kind": "positive" if _is_positive(values, weight) else "skewed"}


def _is_positive(values: Floats, weight: Floats) -> bool:
    """Whether numbers above zero reach down to it, with a long tail the other way."""
    if values.min() <= 0 or not is_far_from_normal(Real.fit(values, weight), values, weight):
        return False
    few, middle, many = weighted_quantiles(values, weight, [0.01, 0.5, 0.99])
    return bool(few < middle / 2 and many - middle > middle - few)
