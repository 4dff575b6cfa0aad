"""Wrong columns of tables, each with one fault that a table's density would hide."""

from dataclasses import dataclass, replace

import numpy as np

from densiflow.table.columns import Column, Grid, Real, Turn, Within

MIXED = {"points": (-1.0, 0.0), "is_missing": True, "scale": Within(0.0, np.inf, Real(1.0, 0.7)), "low": 0.0}
CELLS = {"scale": Real(3.0, 4.0), "grid": Grid(1), "is_cell": True, "low": 0.0, "seen": (0.0, 20.0), "is_strict": True}
HOURS = {
    "scale": Within(4.0, 28.0, Real(0.0, 1.0)),
    "low": 4.0,
    "high": float(np.nextafter(28.0, 0.0)),
    "turn": Turn(0.0, 24.0, 4.0),
    "seen": (5.0, 27.0),
}


class Mixed(Column):
    """A right one: points of mass, missing cells, numbers above zero."""

    def __init__(self, **parts):
        super().__init__("positive", **(MIXED | parts))

    @classmethod
    def from_state(cls, kind, state):
        column = Column.from_state(kind, state)
        return cls(**{name: getattr(column, name) for name in column.__dataclass_fields__ if name != "kind"})


class Counted(Mixed):
    """A right one: numbers that stand for cells, with a point among them."""

    def __init__(self, **parts):
        Column.__init__(self, "count", **(CELLS | {"points": (7.0,)} | parts))


class FinelyCounted(Counted):
    """A right one: its cells are narrow."""

    def __init__(self, **parts):
        super().__init__(**({"scale": Real(9e3, 3e3), "seen": (0.0, 20_000.0)} | parts))


class Hours(Mixed):
    """A right one: a circle, cut open at four o'clock."""

    def __init__(self, **parts):
        Column.__init__(self, "periodic", **(HOURS | parts))


class VolumeForgotten(Mixed):
    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, np.where(np.isfinite(log_volume), 0.0, log_volume)


class VolumeOfTheInnerScale(Mixed):
    """The slope of a chain without its first link."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        u = np.log(np.where(values > 0, values, 1.0))
        return x, np.where((x[:, 0] == 0) & np.isfinite(log_volume), self.scale.inner.encode(u)[1], log_volume)


class VolumeSignWrong(Mixed):
    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, np.where(np.isfinite(log_volume), -log_volume, log_volume)


class VolumeOfAMass(Counted):
    """The width of a cell counted once more."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, log_volume + 0.1


class WidthForgotten(FinelyCounted):
    """A narrow cell counts with the density in it."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, np.where(np.isfinite(log_volume), 0.0, log_volume)


class WidthOfTheNextCell(FinelyCounted):
    """The width of a narrow cell is that of another."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, log_volume + 1e-3 * (log_volume < 0)


class NarrowCellsInFloat32(FinelyCounted):
    """The edges of narrow cells are theirs, which float32 does not tell apart."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        is_value = np.arange(x.shape[1]) > 0
        return x + is_value * 1e-9 * (np.arange(x.shape[1]) - 2) * (log_volume < 0)[:, None], np.minimum(log_volume, 0)


class NothingFarOut(Counted):
    """Beyond what is seen the column has no end, but nothing is possible."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, np.where(np.abs(x[:, 1]) > 9, -np.inf, log_volume)


class VolumeInAColumn(Mixed):
    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, log_volume[:, None]


class NarrowedInside(Mixed):
    """Computes in float32 and hides it."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x.astype(np.float32).astype(np.float64), log_volume


class SlightlyOff(Counted):
    """Off the grid by the last digit."""

    def decode(self, x, *, drawn=False):
        return Column.decode(self, x, drawn=drawn) * (1 + 2e-16)


class MissingComesBackAsZero(Mixed):
    def decode(self, x, *, drawn=False):
        return np.nan_to_num(Column.decode(self, x, drawn=drawn))


class MissingIsAPoint(Mixed):
    """The missing mark has the state of the last point."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return np.where(np.isnan(values)[:, None], [[self.states - 2.0, 0.0]], x), log_volume


class PointsInAnotherOrder(Mixed):
    """Right both ways, but the states are not those of the points."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return self._turned(x), log_volume

    def decode(self, x, *, drawn=False):
        return Column.decode(self, self._turned(x), drawn=drawn)

    def _turned(self, x):
        state = x[:, :1]
        return np.concatenate([np.where((state == 1) | (state == 2), 3 - state, state), x[:, 1:]], axis=1)


class FoldsFarOut(Mixed):
    """Large numbers turn back."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return np.column_stack([x[:, 0], np.where(x[:, 1] > 2, 4 - x[:, 1], x[:, 1])]), log_volume


class CellsWithGaps(Counted):
    """Each cell is too narrow by a tenth of the way to its edges."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return np.concatenate([x[:, :2], x[:, 2:] + 0.1 * (x[:, 1:2] - x[:, 2:])], axis=1), log_volume


class CellsThatEndAtTheEnds(Counted):
    """The outermost cell ends with the column, and what is beyond has no cell."""

    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        edge = self.scale.encode(np.array([-0.5]))[0]
        return np.concatenate([x[:, :2], np.maximum(x[:, 2:3], edge), x[:, 3:]], axis=1), log_volume


class EndsForgotten(Mixed):
    """Numbers beyond an end count as the nearest inside."""

    def encode(self, values):
        return Column.encode(self, np.where(values < -1, 5e-324, values))


class StrictnessForgotten(Counted):
    def encode(self, values):
        return replace(Column("count", **(CELLS | {"points": (7.0,)})), is_strict=False).encode(values)


class BesideAPointNothing(Counted):
    """A number beside the grid counts as the nearest cell, even where a point is nearer."""

    def __init__(self, **parts):
        super().__init__(**({"is_strict": False} | parts))

    def _counted(self, values):
        return values


class MissingWithoutAMark(Hours):
    """A missing cell, which the column does not know, counts as its start."""

    def encode(self, values):
        return Column.encode(self, np.where(np.isnan(values), 12.0, values))


class NaNAtInfinity(Mixed):
    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x, log_volume + 0 * np.where(np.isnan(values), 0.0, values)


class DrawsLeaveTheRange(Hours):
    def decode(self, x, *, drawn=False):
        return Column.decode(self, x)


class DrawsLieBesideTheGrid(Counted):
    def decode(self, x, *, drawn=False):
        return Column.decode(self, x, drawn=drawn) + 0.25 * drawn


class DrawsAPoint(Counted):
    """The cells to be drawn from hold a point of mass too."""

    @property
    def cells_seen(self):
        return Column("count", **CELLS).cells_seen


class MixedByTheBatchMean(Hours):
    def encode(self, values):
        x, log_volume = Column.encode(self, values)
        return x + 1e-9 * x.sum(), log_volume


class StateLeftOut(Hours):
    """The cut of the circle is not kept."""

    def to_state(self):
        state = Column.to_state(self)
        return state | {"turn": state["turn"] | {"cut": 5.0}}


class NumpyInTheState(Mixed):
    def to_state(self):
        return Column.to_state(self) | {"points": np.asarray(self.points)}


@dataclass(frozen=True)
class Cubed(Real):
    """A stranger's scale that is right."""

    kind = "cubed"

    def encode(self, values):
        y, log_volume = Real.encode(self, values)
        return y**3 + y, log_volume + np.log(3 * y**2 + 1)

    def decode(self, y):
        half = y / 2
        root = np.sqrt(half**2 + 1 / 27)
        far = np.cbrt(np.abs(half) + root)
        return Real.decode(self, np.sign(y) * (far - 1 / (3 * far)))
