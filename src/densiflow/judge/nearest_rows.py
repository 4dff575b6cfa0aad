"""Distances to the nearest row: are samples new rows, or copies?"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TableError
from densiflow.judge.columns import Cells, height, paired, subset

Floats = NDArray[Any]

MOST_ROWS = 2000
CLOSE = 0.01  # a distance is close if only this share of data has another row as near


@final
@dataclass(frozen=True)
class NearestRows:
    """Distances from samples to their nearest row of a table, beside those from data.

    ``samples`` and ``data`` (n,) are the distances, sorted. ``copies`` is the share of samples that equal a row of
    the table, ``copies_of_data`` the same of data; ``close`` the share of samples nearer than 99 % of data are, 0
    where so many data are copies that nothing is nearer.
    ``reference`` says which table's rows were looked for.
    """

    samples: Floats
    data: Floats
    copies: float
    copies_of_data: float
    close: float
    reference: str

    @property
    def ratio(self) -> float:
        """The samples' median distance over the data's: 1 if they are alike, near 0 for copies."""
        of_samples, of_data = float(np.median(self.samples)), float(np.median(self.data))
        return 1.0 if of_samples == of_data else of_samples / max(of_data, np.finfo(float).tiny)

    def __str__(self) -> str:
        return (
            f"median distance to the nearest of the {self.reference}: samples {np.median(self.samples):.3f}, data "
            f"{np.median(self.data):.3f} (ratio {self.ratio:.2f}); {self.close:.1%} of samples are nearer than all but "
            f"1% of data; {self.copies:.1%} of samples are exact copies, {self.copies_of_data:.1%} of data are"
        )


def nearest_rows(
    data: Any, samples: Any, train: Any = None, *, most_rows: int = MOST_ROWS, random_state: int | None = 0
) -> NearestRows:
    r"""Measure how far samples are from the nearest row of the training table, or of the held-out one.

    .. math:: d(x, y)^2 = \sum_{\text{numbers}} \frac{(x_j - y_j)^2}{s_j^2} + \sum_{\text{labels}} 1\{x_j \ne y_j\}

    with :math:`s_j` the data's standard deviation. A missing number counts as the mean, and adds 1 against a number
    that is there; a missing label is a label. With ``train`` given, samples and held-out data are both measured from
    its rows: a model that has memorised is much nearer. Without it, samples are measured from held-out rows, and
    held-out rows from the others of their table; that shows samples that crowd or stray, but copies of training rows
    only as far as these are in the table.

    Raises `ShapeError` if the tables do not have the same columns, `TableError` for fewer than 2 rows.

    Source: Alaa et al. 2022, "How faithful is your synthetic data?" (authenticity, by distances to training rows).

    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> nearest_rows(rows[:150], rows[150:]).copies, nearest_rows(rows[:150], rows[:150]).copies
    (0.0, 1.0)
    """
    rng = np.random.default_rng(random_state)
    data, samples = subset(data, most_rows, rng), subset(samples, most_rows, rng)
    if height(data) < 2 or height(samples) < 1:
        raise TableError("nearest rows need at least 2 rows of data and 1 of samples")
    beside = paired(data, samples)
    if train is None:
        left, right = _points(beside)
        of_samples, of_data = _nearest(right, left), _nearest(left)
        reference = "held-out rows"
    else:
        of_samples, of_data = (_to_train(table, train) for table in (samples, data))
        reference = "training rows"
    same, limit = 1e-9, np.quantile(of_data, CLOSE)
    return NearestRows(
        np.sort(of_samples),
        np.sort(of_data),
        float(np.mean(of_samples < same)),
        float(np.mean(of_data < same)),
        float(np.mean(of_samples < limit)) if limit > same else 0.0,
        reference,
    )


def _to_train(table: Any, train: Any) -> Floats:
    """Distances from a table's rows to the nearest row of the training table."""
    known, rows = _points(paired(train, table))
    return _nearest(rows, known)


def _points(pairs: list[tuple[Cells, Cells]]) -> tuple[Floats, Floats]:
    """The rows of both tables as points whose distances are those of the formula: (n, k) and (m, k)."""
    sides: tuple[list[Floats], list[Floats]] = ([], [])
    for pair in pairs:
        for side, coordinates in zip(sides, _coordinates(*pair), strict=True):
            side.append(coordinates)
    return np.concatenate(sides[0], axis=1), np.concatenate(sides[1], axis=1)


def _coordinates(data: Cells, samples: Cells) -> tuple[Floats, Floats]:
    """One column's coordinates in both tables."""
    gone = [np.isnan(cells.values) for cells in (data, samples)]
    if data.is_label:
        codes = (np.where(g, len(data.labels), c.values) for g, c in zip(gone, (data, samples), strict=True))
        first, second = ((code[:, None] == np.arange(len(data.labels) + 1)) / np.sqrt(2) for code in codes)
        return first, second
    there = data.present if len(data.present) else np.zeros(1)
    mean, deviation = there.mean(), there.std() or 1.0
    scaled = [np.where(g, 0.0, (c.values - mean) / deviation) for g, c in zip(gone, (data, samples), strict=True)]
    first, second = (np.stack([value, missing], axis=1) for value, missing in zip(scaled, gone, strict=True))
    return first, second


def _nearest(rows: Floats, known: Floats | None = None) -> Floats:
    """Distance from each row to the nearest known one; to the nearest other row where none are given."""
    from scipy.spatial import cKDTree

    if known is None:
        return np.asarray(cKDTree(rows).query(rows, k=2)[0])[:, 1]
    return np.asarray(cKDTree(known).query(rows)[0])
