"""Each column by itself: are the model's values spread as the data's are?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from densiflow.judge.columns import Cells, paired

Floats = NDArray[Any]

CHANCE = 1.358  # the 95% point of the Kolmogorov distribution
DRAWS = 400
QUANTILES = (0.05, 0.5, 0.95)


@final
@dataclass(frozen=True)
class Marginal:
    """One column of data and samples: how far apart, and the shares of missing cells.

    ``distance`` lies in [0, 1]: the largest difference of the two distribution functions for numbers, half the sum
    of the differences of shares for labels; a missing cell is a value of its own. ``chance`` is what two tables of one
    distribution stay below in 95 % of cases.
    """

    name: str
    distance: float
    chance: float
    data: Cells
    samples: Cells

    def __str__(self) -> str:
        return f"{self.name}: {self.described()}"

    def described(self) -> str:
        """The numbers of the column in a sentence or two."""
        pairs = ((self.data, "data"), (self.samples, "samples"))
        text = "; ".join(f"{what} {_spread(cells)}" for cells, what in pairs)
        if self.data.missing or self.samples.missing:
            text += f"; missing {self.data.missing:.1%} of the data and {self.samples.missing:.1%} of the samples"
        return f"{text}; distance {self.distance:.3f}, by chance up to {self.chance:.3f}."


def marginals(data: Any, samples: Any) -> list[Marginal]:
    r"""Compare each column of data with that of samples.

    .. math:: d = \max_t |F(t) - G(t)| \quad\text{(numbers)}, \qquad
              d = \tfrac12 \sum_k |p_k - q_k| \quad\text{(labels)}

    Takes tables in any container. Raises `ShapeError` if they do not have the same columns.

    Source: Smirnov 1948, "Table for estimating the goodness of fit of empirical distributions".

    >>> rng = np.random.default_rng(0)
    >>> [right] = marginals(rng.normal(size=(900, 1)), rng.normal(size=(900, 1)))
    >>> [wrong] = marginals(rng.normal(size=(900, 1)), rng.normal(0.5, 1.0, size=(900, 1)))
    >>> right.distance < right.chance < wrong.distance
    True
    """
    return [_compared(*pair) for pair in paired(data, samples)]


def _compared(data: Cells, samples: Cells) -> Marginal:
    n, m = len(data.values), len(samples.values)
    chance = CHANCE * float(np.sqrt(1 / n + 1 / m))
    if data.is_label:
        counts = [np.bincount(c.present.astype(int), minlength=len(data.labels)) for c in (data, samples)]
        shares = [np.append(count / len(c.values), c.missing) for count, c in zip(counts, (data, samples), strict=True)]
        chance = _chance_of_labels((n * shares[0] + m * shares[1]) / (n + m), n, m)
        distance = float(0.5 * np.abs(shares[0] - shares[1]).sum())
    else:
        steps = np.unique(np.concatenate([data.present, samples.present]))
        below = [np.searchsorted(np.sort(c.present), steps, "right") / len(c.values) for c in (data, samples)]
        gaps = np.append(below[0] - below[1], data.missing - samples.missing)
        distance = float(np.abs(gaps).max())
    return Marginal(data.name, distance, chance, data, samples)


def _chance_of_labels(shares: Floats, n: int, m: int) -> float:
    """What half the sum of differences stays below in 95 % of pairs of tables that have these shares."""
    rng = np.random.default_rng(0)
    counts = [rng.multinomial(rows, shares / shares.sum(), DRAWS) / rows for rows in (n, m)]
    return float(np.quantile(0.5 * np.abs(counts[0] - counts[1]).sum(axis=1), 0.95))


def _spread(cells: Cells) -> str:
    if not len(cells.present):
        return "all missing"
    if cells.is_label:
        values, counts = np.unique(cells.present, return_counts=True)
        most = np.argsort(-counts)[:5]
        shares = ", ".join(f"{cells.shown(values[k])} {counts[k] / len(cells.values):.1%}" for k in most)
        return shares + (f", {len(values) - 5} more" if len(values) > 5 else "")
    low, middle, high = (cells.shown(value) for value in np.quantile(cells.present, QUANTILES))
    return f"median {middle}, central 90% {low} to {high}"


def farthest(found: Sequence[Marginal]) -> Marginal:
    """The column whose distance is largest beside what chance explains."""
    return max(found, key=lambda marginal: marginal.distance / marginal.chance)


def summary(found: Sequence[Marginal]) -> str:
    """How many columns differ by more than chance, and by how much the worst does, in a sentence."""
    beyond = [marginal for marginal in found if marginal.distance > marginal.chance]
    if not beyond:
        return f"None of {len(found)} columns differs from the data by more than chance explains."
    worst = farthest(found)
    return (
        f"{len(beyond)} of {len(found)} columns differ by more than chance explains, most of all {worst.name} "
        f"(distance {worst.distance:.3f}, by chance up to {worst.chance:.3f})."
    )
