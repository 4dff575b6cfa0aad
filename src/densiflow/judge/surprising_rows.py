"""The rows that a model finds least likely, and the columns that make them so."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from densiflow.arguments import check_count
from densiflow.errors import ArgumentError
from densiflow.judge.abilities import column_scores, given
from densiflow.judge.columns import height, take
from densiflow.judge.seen import columns_seen, kept_of

Floats = NDArray[Any]

BLAMED = 3  # columns named with a row
TYPICAL = 500  # rows whose medians say what is usual, at most: a row can cost many draws


@final
@dataclass(frozen=True)
class SurprisingRow:
    """One row: its place in the table (from 0), its log density, its cells, and the columns to blame.

    ``parts`` has each column's log probability given those before it, and ``blamed`` pairs column names with how many
    nats the column lies below that column's median, largest first; both are empty where the model can't say.
    """

    place: int
    nats: float
    cells: dict[str, str]
    parts: dict[str, float]
    blamed: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        reasons = ", ".join(f"{name} = {self.cells[name]} ({-below:.1f})" for name, below in self.blamed)
        return f"row {self.place}: {self.nats:.2f} nats" + (f"; {reasons}" if reasons else "")


def surprising_rows(model: Any, X: Any, *, context: Any = None, most: int = 10) -> list[SurprisingRow]:
    r"""The rows of smallest log density, each with the columns whose share of it is lowest.

    .. math:: \log p(\text{row}) = \sum_j \log p(\text{column}_j \mid \text{earlier columns}), \qquad
              b_{ij} = \operatorname{median}_k \log p_{kj} - \log p_{ij}

    Raises as ``model.score_samples`` does, and `ArgumentError` for ``most`` below 1. Columns are blamed where the
    model has ``column_scores``.
    """
    check_count("most", most, 1)
    nats = np.asarray(model.score_samples(X, **given(context)), np.float64)
    order = np.argsort(nats, kind="stable")[:most]
    columns = columns_seen(model, take(X, order))
    names = [cells.name for cells in columns]
    scores = _scores(model, X, context, order)
    found = []
    for k, place in enumerate(order):
        cells = {column.name: column.shown(float(column.values[k])) for column in columns}
        parts: dict[str, float] = {}
        blamed: tuple[tuple[str, float], ...] = ()
        if scores is not None:
            own, usual = scores
            parts, blamed = dict(zip(names, own[k].tolist(), strict=True)), _blamed(usual - own[k], names)
        found.append(SurprisingRow(int(place), float(nats[place]), cells, parts, blamed))
    return found


def _scores(model: Any, X: Any, context: Any, places: NDArray[np.integer]) -> tuple[Floats, Floats] | None:
    """Column scores of rows (places, columns) and their medians (columns,); None where the model can't say."""
    n = height(X)
    rows = np.concatenate([places, np.linspace(0, n - 1, min(n, TYPICAL)).round().astype(int)])
    given = context if context is None or height(context) == 1 else take(context, rows)
    try:
        scores = kept_of(model, column_scores(model, take(X, rows), context=given))
    except ArgumentError:
        return None
    return scores[: len(places)], np.median(scores[len(places) :], axis=0)


def _blamed(below: Floats, names: list[str]) -> tuple[tuple[str, float], ...]:
    """The columns of a row that lie lowest below their medians, and by how many nats."""
    order = np.argsort(-below, kind="stable")[:BLAMED]
    return tuple((names[j], float(below[j])) for j in order if below[j] > 0)
