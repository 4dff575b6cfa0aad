"""The columns of a table joined: a matrix of cells <-> a matrix of real numbers that a flow sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np

from densiflow.errors import ArgumentError, UnregisteredClassError
from densiflow.table.columns import KINDS, Column
from densiflow.table.columns.base import Floats
from densiflow.table.refusals import listed, shown
from densiflow.table.schema import Schema


@final
@dataclass(frozen=True)
class Encoder:
    r"""One fitted `Column` for each column of a table.

    .. math:: x_i = g_i(\mathrm{value}_i), \qquad \text{log\_volume} = \sum_i \log\left|g_i'(\mathrm{value}_i)\right|

    Shapes: a matrix of cells (n, d), ``x`` (n, d), ``log_volume`` (n,), all in float64.

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
    def fit(cls, schema: Schema, matrix: Floats, weight: Floats, kinds: Mapping[Any, str] | None = None) -> Self:
        """Fit each column to its cells and the rows' weights (n,).

        ``kinds`` gives columns by name (or by position, where they have no names) another kind than "real". Raises
        `ArgumentError` for a column or a kind that does not exist.
        """
        kinds = {} if kinds is None else kinds
        _check_kinds(kinds, schema)
        fitted = (
            KINDS[kinds.get(key, "real")].fit(column, weight) for key, column in zip(schema.keys, matrix.T, strict=True)
        )
        return cls(schema, tuple(fitted))

    def encode(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Cells to real numbers: ``(x, log_volume)``."""
        x = np.empty(matrix.shape)
        log_volume = np.zeros(len(matrix))
        for i, column in enumerate(self.columns):
            x[:, i], volume = column.encode(matrix[:, i])
            log_volume += volume
        return x, log_volume

    def decode(self, x: Floats) -> Floats:
        """Real numbers to cells."""
        return np.stack([column.decode(x[:, i]) for i, column in enumerate(self.columns)], axis=1)

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
        columns = []
        for column in state["columns"]:
            kind = column["kind"]
            if kind not in KINDS:
                raise UnregisteredClassError(f"{kind!r} is not a kind of column known here: {listed(sorted(KINDS))}")
            columns.append(KINDS[kind].from_state(column["state"]))
        schema = Schema.from_state(state["schema"])
        if len(columns) != schema.width:
            raise ArgumentError(f"an encoder needs as many columns as its schema, {schema.width}, got {len(columns)}")
        return cls(schema, tuple(columns))


def _check_kinds(kinds: Any, schema: Schema) -> None:
    if not isinstance(kinds, Mapping):
        raise ArgumentError(
            f"columns must be a mapping from column to kind, such as {{'price': 'real'}}, got {shown(kinds)}"
        )
    for key, kind in kinds.items():
        if key not in schema.keys:
            raise ArgumentError(f"there is no column {key!r} to give a kind to; there are {listed(schema.keys)}")
        if not isinstance(kind, str) or kind not in KINDS:
            raise ArgumentError(f"the kind of column {key!r} must be one of {listed(sorted(KINDS))}, got {kind!r}")
