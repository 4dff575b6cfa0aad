"""Dependence between columns: do samples keep what the data have?"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from densiflow.judge.columns import Cells, height, paired, subset
from densiflow.judge.threads import one_thread

Floats = NDArray[Any]

MOST_ROWS = 4000
SHUFFLES = 100


@final
@dataclass(frozen=True)
class Correlations:
    """The dependence of each pair of columns in data and in samples: (columns, columns), and what chance explains.

    Spearman's correlation for two columns of numbers, in [-1, 1]; where labels are among them the correlation ratio of
    the ranks, or Cramér's V for two columns of labels, in [0, 1]. ``chance`` is what the largest difference of all
    pairs stays below in 95 % of tables drawn alike.
    """

    names: tuple[str, ...]
    data: Floats
    samples: Floats
    chance: float
    rows: int

    @property
    def difference(self) -> Floats:
        """Samples minus data."""
        return self.samples - self.data

    @property
    def largest(self) -> float:
        """The largest difference, whatever its sign."""
        return float(np.abs(self.difference).max())

    def pairs(self, most: int = 10) -> list[tuple[str, str, float, float]]:
        """The pairs that differ most: names, dependence in data, dependence in samples."""
        i, j = np.tril_indices(len(self.names), -1)
        order = np.argsort(-np.abs(self.difference[i, j]), kind="stable")[:most]
        return [
            (self.names[j[k]], self.names[i[k]], float(self.data[i[k], j[k]]), float(self.samples[i[k], j[k]]))
            for k in order
        ]

    def __str__(self) -> str:
        if len(self.names) < 2:
            return "one column has no correlations"
        a, b, data, samples = self.pairs(1)[0]
        return (
            f"largest difference {self.largest:.3f} ({a} and {b}: {data:.3f} in the data, {samples:.3f} in the "
            f"samples), by chance up to {self.chance:.3f}"
        )


def correlations(data: Any, samples: Any, *, most_rows: int = MOST_ROWS, random_state: int | None = 0) -> Correlations:
    r"""Compare the dependence of every pair of columns in data and in samples.

    .. math:: \rho_{jk} = \operatorname{corr}(\operatorname{rank} x_j, \operatorname{rank} x_k), \qquad
              \eta^2 = \frac{\operatorname{var} E[\operatorname{rank} x_j \mid x_k]}
              {\operatorname{var} \operatorname{rank} x_j}, \qquad V = \sqrt{\frac{\chi^2 / n}{\min(a, b) - 1}}

    A missing number takes the middle rank and a missing label is a label. What chance explains is found by dealing
    the rows of both tables out anew, 100 times. Raises `ShapeError` if the tables do not have the same columns.

    Source: Spearman 1904, "The proof and measurement of association between two things"; Cramér 1946,
    "Mathematical methods of statistics", section 21.9.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 2))
    >>> found = correlations(x, np.stack([x[:, 0], x[:, 0] + x[:, 1]], axis=1))
    >>> round(found.largest, 1), found.chance < 0.2
    (0.7, True)
    """
    rng = np.random.default_rng(random_state)
    data, samples = subset(data, most_rows, rng), subset(samples, most_rows, rng)
    pairs = paired(data, samples)
    names = tuple(cells.name for cells, _ in pairs)
    count, both = height(data), [_joined(*pair) for pair in pairs]
    sizes = [len(cells.labels) + 1 if cells.is_label else 0 for cells, _ in pairs]
    total = np.arange(len(both[0]))
    of_data, of_samples = (_dependence(both, sizes, rows) for rows in (total[:count], total[count:]))
    largest = []
    with one_thread():
        for _ in range(SHUFFLES):
            dealt = rng.permutation(total)
            left, right = (_dependence(both, sizes, rows) for rows in (dealt[:count], dealt[count:]))
            largest.append(np.abs(left - right).max())
    return Correlations(names, of_data, of_samples, float(np.quantile(largest, 0.95)), count)


def _joined(data: Cells, samples: Cells) -> Floats:
    """The cells of both tables one after the other; codes with missing as a label, or ranks over both."""
    from scipy.stats import rankdata

    values = np.concatenate([data.values, samples.values])
    if data.is_label:
        return np.where(np.isnan(values), len(data.labels), values).astype(int)
    ranks = rankdata(values, nan_policy="omit") / max(np.sum(~np.isnan(values)), 1)
    return np.where(np.isnan(ranks), 0.5, ranks)


def _dependence(columns: list[Floats], sizes: list[int], rows: Floats) -> Floats:
    """The matrix of dependence over these rows; ones on its diagonal."""
    numbers = [j for j, size in enumerate(sizes) if not size]
    found = np.eye(len(columns))
    if numbers:
        ranks = _standard(np.stack([columns[j][rows] for j in numbers], axis=1))
        found[np.ix_(numbers, numbers)] = ranks.T @ ranks / len(rows)
    for j, size in enumerate(sizes):
        if not size:
            continue
        codes = columns[j][rows]
        if numbers:
            found[j, numbers] = found[numbers, j] = _ratio(codes, size, ranks)
        for k in range(j):
            if sizes[k]:
                found[j, k] = found[k, j] = _cramer(codes, columns[k][rows], size, sizes[k])
    np.fill_diagonal(found, 1.0)
    return found


def _standard(ranks: Floats) -> Floats:
    """Columns of mean 0 and variance 1; zero where a column holds one value only."""
    centred = ranks - ranks.mean(axis=0)
    deviation = centred.std(axis=0)
    scaled: Floats = centred / np.where(deviation > 0, deviation, 1.0)
    return scaled


def _ratio(codes: Floats, size: int, ranks: Floats) -> Floats:
    """The correlation ratio of standardised ranks (n, k) given labels: (k,)."""
    counts = np.bincount(codes, minlength=size)
    sums = np.stack([np.bincount(codes, column, minlength=size) for column in ranks.T], axis=1)
    explained = (sums**2 / np.maximum(counts, 1)[:, None]).sum(axis=0) / len(codes)
    ratio: Floats = np.sqrt(np.clip(explained, 0.0, 1.0))
    return ratio


def _cramer(a: Floats, b: Floats, size_a: int, size_b: int) -> float:
    """Cramér's V of two columns of labels."""
    table = np.bincount(a * size_b + b, minlength=size_a * size_b).reshape(size_a, size_b).astype(float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    least = min(table.shape) - 1
    if least < 1:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum() / least))
