"""The columns of a table joined: a matrix of cells <-> a matrix of real numbers that a flow sees."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError, DensiflowWarning, TableError, UnregisteredClassError
from densiflow.table import frames, words
from densiflow.table.columns import Column
from densiflow.table.columns.base import Floats
from densiflow.table.kinds import IDENTIFIER, KINDS, fit_column
from densiflow.table.options import Spec, checked_kinds
from densiflow.table.refusals import listed
from densiflow.table.schema import Schema
from densiflow.table.variables import Variable

Booleans = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Encoder:
    r"""One fitted `Column` for each column of a table.

    .. math:: x_i = g_i(\mathrm{value}_i), \qquad \text{log\_volume} = \sum_i \log\left|g_i'(\mathrm{value}_i)\right|

    x holds one variable after the other (`variables`), each of its `Variable.width`: for every column of the table its
    state first, if it needs one, then its value, if it has one.

    Shapes: a matrix of cells (n, d), NaN where missing; ``x`` (n, width), ``log_volume`` (n,), all in float64.

    >>> schema = Schema(("a", "b"), ("float64", "float64"), "arrow")
    >>> matrix = np.array([[1.0, 10.0], [3.0, 50.0]])
    >>> encoder = Encoder.fit(schema, matrix, np.ones(2), kinds={"a": "real"})
    >>> x, log_volume = encoder.encode(matrix)
    >>> x.round(4)
    array([[-0.9954, -0.9954],
           [ 0.9954,  0.9954]])
    >>> log_volume.round(4)
    array([-3.0231, -3.0231])
    >>> encoder.decode(x)
    array([[ 1., 10.],
           [ 3., 50.]])
    """

    schema: Schema
    columns: tuple[Column, ...]

    @classmethod
    def fit(
        cls,
        schema: Schema,
        matrix: Floats,
        weight: Floats,
        kinds: Mapping[Any, Spec] | None = None,
        *,
        detect: bool = False,
    ) -> Self:
        """Fit each column to its cells and the rows' weights (n,).

        ``kinds`` gives columns by name (or by position, where they have no names) a kind, such as "positive", or one
        with options: ``{"kind": "bounded", "low": 0, "high": 1}``. The others are read from their cells with
        ``detect``; without it numbers are "real".

        Raises `ArgumentError` for a column, a kind or an option that does not exist, `TableError` for cells that a
        kind can't hold or a table of identifiers alone; warns (`DensiflowWarning`) of identifiers, which are left out.
        """
        specs = checked_kinds(kinds, schema)
        parts = enumerate(zip(schema.keys, matrix.T, strict=True))
        encoder = cls(schema, tuple(fit_column(schema, i, c, weight, specs.get(key), detect) for i, (key, c) in parts))
        if encoder.left_out:
            encoder._warn_of_identifiers()
        return encoder

    def encode(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Cells to real numbers: ``(x, log_volume)``."""
        x, log_volumes = self.encode_columns(matrix)
        return x, log_volumes.sum(axis=1)

    def encode_columns(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Cells to real numbers, with the log_volume of each column (n, columns); 0 for one that is left out."""
        x, log_volumes = np.empty((len(matrix), self.width)), np.zeros(matrix.shape)
        start = 0
        for i in self.kept:
            column = self.columns[i]
            x[:, start : start + column.width], log_volumes[:, i] = column.encode(matrix[:, i])
            start += column.width
        return x, log_volumes

    def decode(self, x: Floats, *, drawn: bool = False) -> Floats:
        """Real numbers to cells; NaN for a column that is left out. With ``drawn`` cells keep within what was seen."""
        matrix = np.empty((len(x), self.schema.width))
        start = 0
        for i, column in enumerate(self.columns):
            matrix[:, i] = column.decode(x[:, start : start + column.width], drawn=drawn)
            start += column.width
        return matrix

    def is_beyond_seen(self, x: Floats, known: Booleans | None = None) -> Booleans:
        """Which rows hold a number that lies beyond those seen in a column whose draws keep within them.

        Cells that were not drawn but are ``known`` (n, columns) may lie anywhere.
        """
        is_beyond = np.zeros(len(x), bool)
        start = 0
        for i, column in enumerate(self.columns):
            beyond = column.is_beyond_seen(x[:, start : start + column.width])
            is_beyond |= beyond if known is None else beyond & ~known[:, i]
            start += column.width
        return is_beyond

    def build(self, matrix: Floats) -> Any:
        """Cells (n, d) as a table of the container fitted on, without the columns that are left out."""
        kept = self.kept
        return frames.build(self.schema.only(kept) if len(kept) < self.schema.width else self.schema, matrix[:, kept])

    def says_something(self, matrix: Floats) -> Booleans:
        """(n, columns): cells that say something, be it that they are missing; those of no variable say nothing new."""
        says = np.array([column.is_missing for column in self.columns]) | ~self.modelled
        return ~np.isnan(matrix) | says

    def cells_seen(self, variable: int) -> Floats:
        """(cells, 3): y of the middle and of the edges of every cell of a value, between the numbers seen."""
        return self.columns[self.variables[variable].column].cells_seen

    @property
    def width(self) -> int:
        """Columns of x."""
        return sum(column.width for column in self.columns)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What x holds, in order."""
        found: list[Variable] = []
        for i, column in enumerate(self.columns):
            state = len(found) if column.has_state else None
            if column.has_state:
                found.append(Variable(i, size=column.states))
            if column.scale is not None:
                found.append(Variable(i, state=state, cell=column.is_cell))
        return tuple(found)

    @cached_property
    def modelled(self) -> Booleans:
        """(columns,): which have a variable."""
        found = np.zeros(self.schema.width, bool)
        found[[variable.column for variable in self.variables]] = True
        return found

    @property
    def plain(self) -> bool:
        """Whether every variable is a density value that is always present: any flow can model x."""
        return all(not (part.size or part.cell or part.state is not None) for part in self.variables)

    @property
    def meanings(self) -> tuple[str, ...]:
        """What the number of each column is: "density", "mass", "mass of a cell of width 0.01", ..."""
        return tuple(words.meaning(column, self.schema, i) for i, column in enumerate(self.columns))

    @property
    def described(self) -> tuple[str, ...]:
        """Each column's kind in one line, with its levels, points, ends, range seen and steps."""
        return tuple(words.described(column, self.schema, i) for i, column in enumerate(self.columns))

    @property
    def left_out(self) -> tuple[str | int, ...]:
        """The columns that name rows instead of saying something of them."""
        keys: Sequence[str | int] = self.schema.keys
        return tuple(key for i, key in enumerate(keys) if i not in self.kept)

    @cached_property
    def kept(self) -> list[int]:
        """The places of the columns that are not left out."""
        return [i for i, column in enumerate(self.columns) if column.kind != IDENTIFIER]

    def to_state(self) -> dict[str, Any]:
        """The encoder as plain values that JSON can hold."""
        columns = [{"kind": column.kind, "state": column.to_state()} for column in self.columns]
        return {"schema": self.schema.to_state(), "columns": columns}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`.

        Raises `UnregisteredClassError` for a kind of column that is not known here, `ArgumentError` for what is no
        encoder's state.
        """
        columns = [_column_of(column["kind"], column["state"]) for column in state["columns"]]
        schema = Schema.from_state(state["schema"])
        if len(columns) != schema.width:
            raise ArgumentError(f"an encoder needs as many columns as its schema, {schema.width}, got {len(columns)}")
        return cls(schema, tuple(columns))

    def _warn_of_identifiers(self) -> None:
        names = listed(self.left_out)
        if len(self.left_out) == self.schema.width:
            raise TableError(
                f"every column looks like an identifier: {names}; give a kind to the columns to be modelled, "
                f"such as columns={{{self.left_out[0]!r}: 'real'}}"
            )
        warnings.warn(
            f"left out, as identifiers of rows: {names}; to model such a column give it a kind, "
            f"columns={{{self.left_out[0]!r}: 'real'}}",
            DensiflowWarning,
            stacklevel=3,
        )


def _column_of(kind: str, state: Mapping[str, Any]) -> Column:
    if kind not in KINDS:
        raise UnregisteredClassError(f"{kind!r} is not a kind of column known here: {listed(sorted(KINDS))}")
    return Column.from_state(kind, state)
