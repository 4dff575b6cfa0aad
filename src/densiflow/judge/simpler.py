"""Simpler densities of the columns as a model sees them: independent ones, a Gaussian, a mixture of Gaussians.

What a model sees of a mixed table is states (a label, or whether a number is there) and values (a real number, or a
cell of them whose probability counts). The simpler densities give states their frequencies, each by itself, and
values Gaussians; so their log densities are of the same kind as the model's, and comparable with them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, final

import numpy as np
from numpy.typing import NDArray

from densiflow.table.as_fitted import as_fitted

Floats = NDArray[Any]


class Density(Protocol):
    """Log densities (n,) of rows, given the rows of a context where there is one."""

    def __call__(self, rows: "Encoded", given: "Encoded | None" = None) -> Floats: ...


MOST_ROWS = 5000  # to learn from
VALIDATION = 0.2  # of them, to choose the number of Gaussians by
OF_ONE_COLUMN = (1, 3, 8)
LEAST_VARIANCE = 1e-6  # added to a Gaussian's, where the values' own variance is about 1


@final
@dataclass(frozen=True)
class Encoded:
    """Rows as a model sees them.

    ``states`` (n, s) are numbers from 0 to ``sizes`` (s,) less one. ``middle, low, high`` (n, v) are values, with the
    edges of their cell where ``is_cell`` (v,); ``present`` (n, v) says where there is a value. ``log_volume`` (n,).
    """

    states: Floats
    sizes: tuple[int, ...]
    middle: Floats
    low: Floats
    high: Floats
    is_cell: Floats
    present: Floats
    log_volume: Floats

    @classmethod
    def through(cls, encoder: Any, X: Any) -> Self:
        """A table's rows through an encoder."""
        x, log_volume = encoder.encode(as_fitted(encoder, X, "the table", mixed=True))
        variables = getattr(encoder, "variables", None)
        if variables is None:  # every column is a real number that is always there
            return cls._of_values(x, log_volume)
        starts = np.cumsum([0, *(variable.width for variable in variables)])
        states = [k for k, variable in enumerate(variables) if variable.size]
        values = [k for k, variable in enumerate(variables) if not variable.size]
        if not states and not any(variables[k].cell for k in values):
            return cls._of_values(x, log_volume)
        cell = np.array([variables[k].cell for k in values], bool)
        first = starts[values].astype(int)
        gates = [variables[k].state for k in values]
        present = [np.ones(len(x), bool) if gate is None else x[:, starts[gate]] == 0 for gate in gates]
        return cls(
            x[:, starts[states].astype(int)].astype(int),
            tuple(variables[k].size for k in states),
            x[:, first],
            x[:, np.where(cell, first + 1, first)],
            x[:, np.where(cell, first + 2, first)],
            cell,
            np.stack(present, axis=1) if present else np.empty((len(x), 0), bool),
            log_volume,
        )

    @classmethod
    def _of_values(cls, x: Floats, log_volume: Floats) -> Self:
        n, d = x.shape
        no_states, no_cells = np.empty((n, 0), int), np.zeros(d, bool)
        return cls(no_states, (), x, x, x, no_cells, np.ones((n, d), bool), log_volume)

    def values_of(self, column: int) -> Self:
        """One column of values alone, of the rows where it is there, without states or volume."""
        rows, one = self.present[:, column], slice(column, column + 1)
        there = np.ones((int(rows.sum()), 1), bool)
        middle, low, high = (values[rows, one] for values in (self.middle, self.low, self.high))
        no_states, no_volume = np.empty((len(there), 0), int), np.zeros(len(there))
        return type(self)(no_states, (), middle, low, high, self.is_cell[one], there, no_volume)


def independent_fit(known: Encoded) -> Density:
    """Columns that know nothing of each other: frequencies for states, a mixture of a few Gaussians for values."""
    frequencies = _frequencies(known)
    columns = range(known.middle.shape[1])
    of_values = [gaussians_fit(known.values_of(j), OF_ONE_COLUMN, 0) for j in columns]

    def log_density(rows: Encoded, given: Encoded | None = None) -> Floats:
        total = rows.log_volume + _of_states(frequencies, rows)
        for j, density in zip(columns, of_values, strict=True):
            total[rows.present[:, j]] += density(rows.values_of(j))
        return total

    return log_density


def gaussians_fit(
    known: Encoded, components: Sequence[int], random_state: int | None, context: Encoded | None = None
) -> Density:
    r"""Frequencies for states, and for values a mixture of Gaussians with full covariances.

    .. math:: p = \prod_s p_s \sum_k w_k \prod_j N(y_j;\, y_{<j}), \qquad
              \Phi\left(\frac{b_j - \mu_j}{\sigma_j}\right) - \Phi\left(\frac{a_j - \mu_j}{\sigma_j}\right)
              \text{ for a cell } [a_j, b_j]

    A value that is not there is left out of its row's density; to learn from, it is drawn from those that are. The
    number of Gaussians is the one that scores best on a part of the rows. With a context the mixture is of both, and
    the density is the joint one over that of the context's values.
    """
    frequencies = _frequencies(known)
    fitted = _mixture(_filled(_joint(known, context), random_state), components, random_state)

    def log_density(rows: Encoded, given: Encoded | None = None) -> Floats:
        total = rows.log_volume + _of_states(frequencies, rows)
        if fitted is None:
            return total
        together = _joint(rows, given)
        total = total + _of_gaussians(together, *fitted)
        if given is None:
            return total
        hidden = together.present.copy()
        hidden[:, : rows.middle.shape[1]] = False
        return total - _of_gaussians(replace(together, present=hidden), *fitted)

    return log_density


def _joint(rows: Encoded, context: Encoded | None) -> Encoded:
    """The values of rows, then those of their context, side by side."""
    if context is None:
        return rows

    def beside(name: str) -> Floats:
        return np.concatenate([getattr(rows, name), getattr(context, name)], axis=-1)

    return replace(
        rows,
        middle=beside("middle"),
        low=beside("low"),
        high=beside("high"),
        is_cell=beside("is_cell"),
        present=beside("present"),
    )


def _frequencies(known: Encoded) -> list[Floats]:
    """Log shares of each state, one row added to each so that none is impossible."""
    counts = [np.bincount(s[s >= 0], minlength=size) for s, size in zip(known.states.T, known.sizes, strict=True)]
    return [np.log((count + 1) / (count.sum() + len(count))) for count in counts]


def _of_states(frequencies: list[Floats], rows: Encoded) -> Floats:
    total = np.zeros(len(rows.log_volume))
    for state, frequency in zip(rows.states.T, frequencies, strict=True):
        total += frequency[np.maximum(state, 0)]
    return total


def _filled(known: Encoded, random_state: int | None) -> Floats:
    """Values with something everywhere: (n, v)."""
    rng = np.random.default_rng(random_state)
    filled = np.where(known.present, known.middle, 0.0)
    for j, present in enumerate(known.present.T):
        if present.any() and not present.all():
            filled[~present, j] = rng.choice(filled[present, j], int((~present).sum()))
    if len(filled) > MOST_ROWS:
        filled = filled[rng.choice(len(filled), MOST_ROWS, replace=False)]
    return rng.permutation(filled)


def _mixture(
    values: Floats, components: Sequence[int], random_state: int | None
) -> tuple[Floats, Floats, Floats] | None:
    """Weights (k,), means (k, v) and covariances (k, v, v) of the best number of Gaussians; None without values."""
    n, v = values.shape
    if v == 0 or n < 2:
        return None if v == 0 else (np.ones(1), np.zeros((1, v)), np.eye(v)[None])
    tried = [count for count in components if count * (v + 1) <= n * (1 - VALIDATION)] or [1]
    best = tried[0]
    if len(tried) > 1:
        held, rest = np.split(values, [int(VALIDATION * n)])
        best = max(tried, key=lambda count: _fit(rest, count, random_state).score(held))
    mixture = _fit(values, best, random_state)
    return mixture.weights_, mixture.means_, mixture.covariances_


def _fit(values: Floats, components: int, random_state: int | None) -> Any:
    from sklearn import mixture
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # held-out rows judge what was reached
        fitted = mixture.GaussianMixture(components, reg_covar=LEAST_VARIANCE, random_state=random_state)
        return fitted.fit(values)


def _of_gaussians(rows: Encoded, weights: Floats, means: Floats, covariances: Floats) -> Floats:
    """Log densities of values under a mixture: the values that are there, in every pattern of those that are not."""
    from scipy.special import logsumexp

    total = np.zeros(len(rows.middle))
    patterns, which = np.unique(rows.present, axis=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        here = np.flatnonzero(which.ravel() == k)
        middle, low, high = (values[np.ix_(here, pattern)] for values in (rows.middle, rows.low, rows.high))
        cells, square = rows.is_cell[pattern], np.ix_(pattern, pattern)
        of_each = [
            np.log(weight) + _of_gaussian(middle, low, high, cells, mean[pattern], covariance[square])
            for weight, mean, covariance in zip(weights, means, covariances, strict=True)
        ]
        total[here] = logsumexp(of_each, axis=0)
    return total


def _of_gaussian(
    middle: Floats, low: Floats, high: Floats, is_cell: Floats, mean: Floats, covariance: Floats
) -> Floats:
    """One Gaussian, column by column given the earlier ones: densities, or masses of cells that have a width."""
    from scipy.linalg import solve_triangular

    root = np.linalg.cholesky(covariance)
    deviation = np.diag(root)
    z = solve_triangular(root, (middle - mean).T, lower=True).T
    nats = -0.5 * z**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    cells = np.flatnonzero(is_cell)
    below, above = ((edge - middle)[:, cells] / deviation[cells] + z[:, cells] for edge in (low, high))
    nats[:, cells] = np.where(below < above, _log_mass(below, above), nats[:, cells])
    total: Floats = nats.sum(axis=1)
    return total


def _log_mass(low: Floats, high: Floats) -> Floats:
    """The logarithm of the normal's mass between two numbers, exact far out as well."""
    from scipy.special import log_ndtr

    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    of_high = log_ndtr(high)
    with np.errstate(divide="ignore"):
        mass: Floats = of_high + np.log(-np.expm1(np.minimum(log_ndtr(low) - of_high, -1e-300)))
    return mass
