"""The training cells of one column, as the fitting of a kind sees them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from densiflow.table import spelled
from densiflow.table.columns.base import Floats
from densiflow.table.dtypes import numpy_dtype
from densiflow.table.schema import Label, Schema


@dataclass(frozen=True)
class Sample:
    """Cells that are not missing, of rows that have weight, and what the schema says of their column."""

    label: str
    key: str | int
    dtype: str
    family: str | None
    levels: tuple[Label, ...] | None
    values: Floats
    weight: Floats
    is_missing: bool
    looks: bool  # whether grids, points and shapes are to be looked for

    @property
    def size(self) -> float:
        """How many rows there are; as many for a weight of 2 as for the row repeated."""
        return max(float(len(self.values)), float(self.weight.sum()))

    @property
    def is_single(self) -> bool:
        """Whether the numbers come from float32 (or a shorter type), or have only its digits."""
        try:
            return self.family == "number" and numpy_dtype(self.dtype) == np.float32
        except (TypeError, ValueError):
            return False

    @property
    def is_exact(self) -> bool:
        """Whether the column's type holds nothing but integers; instants are whole microseconds."""
        if self.family in ("instant", "time of day", "duration"):
            return True
        try:
            return self.family == "number" and numpy_dtype(self.dtype).kind in "iu"
        except (TypeError, ValueError):
            return False

    @cached_property
    def distinct(self) -> tuple[Floats, Floats]:
        """The different numbers in rising order, and the share of the weight that each holds."""
        values, where = np.unique(self.values, return_inverse=True)
        return values, np.bincount(where, self.weight, len(values)) / self.weight.sum()


def sample_of(schema: Schema, i: int, cells: Floats, weight: Floats, looks: bool) -> Sample:
    """The cells (n,) of column `i` and the rows' weights (n,)."""
    counts = weight > 0
    present = counts & ~np.isnan(cells)
    return Sample(
        schema.spoken[i],
        schema.keys[i],
        schema.dtypes[i],
        family_of(schema, i),
        schema.levels[i],
        cells[present],
        weight[present],
        bool((counts & np.isnan(cells)).any()),
        looks,
    )


def family_of(schema: Schema, i: int) -> str | None:
    """What the cells of column `i` are, as `dtypes.family`, text that spells instants or numbers considered."""
    if schema.levels[i] is not None:
        return "boolean" if _are_booleans(schema.levels[i]) else None
    return spelled.family_of(schema.dtypes[i], schema.formats[i])


def _are_booleans(levels: tuple[Label, ...] | None) -> bool:
    return bool(levels) and all(isinstance(level, bool) for level in levels or ())
