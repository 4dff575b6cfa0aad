"""The held-out log-likelihood of a model beside simpler densities of the same encoded columns."""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import TableError
from densiflow.judge.abilities import given
from densiflow.judge.columns import height, take
from densiflow.judge.seen import whole_rows
from densiflow.judge.simpler import Encoded, gaussians_fit, independent_fit
from densiflow.judge.threads import one_thread

Floats = NDArray[Any]

COMPONENTS = (2, 4, 8, 16)  # of the mixture: the number is chosen on a part of its training rows
FEWEST_ROWS = 40  # of the table, for simpler densities to be fitted to halves of it


@final
@dataclass(frozen=True)
class Beside:
    """A simpler density: its mean log density over the same rows, and by how much the model is ahead, in nats a row."""

    name: str
    mean: float
    error: float
    ahead: float
    ahead_error: float


@final
@dataclass(frozen=True)
class Likelihood:
    """Mean log densities in nats a row, each with its standard error, over the rows with a positive density.

    ``impossible`` counts the rows that the model gives density zero, which the means leave out. ``fitted_on`` says
    which rows the simpler densities learned from.
    """

    mean: float
    error: float
    rows: int
    impossible: int
    baselines: tuple[Beside, ...]
    fitted_on: str
    nats: Floats

    @property
    def best(self) -> Beside | None:
        """The simpler density that scores highest."""
        return max(self.baselines, key=lambda beside: beside.mean, default=None)

    def __str__(self) -> str:
        lines = [f"model {self.mean:.3f} ± {self.error:.3f} nats a row ({self.rows} rows)"]
        if self.impossible:
            lines.append(f"{self.impossible} rows have density zero and are left out")
        lines += [
            f"{b.name} {b.mean:.3f} ± {b.error:.3f}; model ahead by {b.ahead:.3f} ± {b.ahead_error:.3f}"
            for b in self.baselines
        ]
        return "\n".join(lines)


def likelihood(
    model: Any,
    X: Any,
    train: Any = None,
    *,
    context: Any = None,
    train_context: Any = None,
    random_state: int | None = 0,
) -> Likelihood:
    r"""Score held-out rows by the model, by one Gaussian, by a mixture of Gaussians and by independent columns.

    .. math:: \bar\ell = \frac1n \sum_i \log p(x_i), \qquad s = \frac{\operatorname{sd}(\log p(x_i))}{\sqrt n}

    The simpler densities see the columns as the model does (`table.Encoder`: bent to nearly normal where they are
    numbers), so that all log densities are of the same kind and in the same units. Without ``train`` they learn from
    one half of the rows and score the other, and the other way round, so that every row is scored by what has not
    seen it. With a context the Gaussians are conditional ones, of rows and contexts together over that of the contexts;
    ``train`` then needs ``train_context``. Rows with a cell that says nothing, missing where the model knows of no
    missing cells, are left out where the model stands beside simpler densities.

    Raises as ``model.score_samples`` does, `TableError` if it gives every row density zero.
    """
    nats = np.asarray(model.score_samples(X, **given(context)), np.float64)
    possible = np.isfinite(nats)
    if not possible.any():
        raise TableError("the model gives every row of the table density zero, so there is nothing to judge")
    scores: dict[str, Floats] = {}
    there = np.flatnonzero(possible & whole_rows(model, X))
    rows = int(possible.sum())
    table = Rows(take(X, there), None if context is None else take(context, there))
    if train is not None and (context is None) == (train_context is None):
        scores = _scored(model, table, Rows(train, train_context), random_state)
        fitted_on = f"the {height(train)} training rows given"
    elif len(there) >= FEWEST_ROWS:
        scores, fitted_on = _cross_fitted(model, table, random_state), "the other half of these rows"
    else:
        fitted_on = f"nothing: {len(there)} rows are too few, at least {FEWEST_ROWS} are needed"
    beside = tuple(Beside(name, *_mean(score), *_mean(nats[there] - score)) for name, score in scores.items())
    nats = nats[possible]
    return Likelihood(*_mean(nats), rows, len(possible) - rows, beside, fitted_on, nats)


class Rows(NamedTuple):
    """A table and its context, None without one."""

    table: Any
    context: Any

    def taken(self, places: Floats) -> "Rows":
        """Some of the rows."""
        return Rows(take(self.table, places), None if self.context is None else take(self.context, places))

    def encoded(self, model: Any) -> tuple[Encoded, Encoded | None]:
        """Both as the model sees them."""
        context = None if self.context is None else Encoded.through(model.context_encoder_, self.context)
        return Encoded.through(model.encoder_, self.table), context


def _cross_fitted(model: Any, rows: Rows, random_state: int | None) -> dict[str, Floats]:
    """Scores of each half by what was fitted to the other."""
    order = np.random.default_rng(random_state).permutation(height(rows.table))
    halves = np.array_split(order, 2)
    scores: dict[str, Floats] = {}
    for own, other in (halves, halves[::-1]):
        for name, score in _scored(model, rows.taken(own), rows.taken(other), random_state).items():
            scores.setdefault(name, np.empty(len(order)))[own] = score
    return scores


def _scored(model: Any, rows: Rows, train: Rows, random_state: int | None) -> dict[str, Floats]:
    """Log densities of rows by each simpler density, fitted to the training rows."""
    known, context = train.encoded(model)
    with one_thread():
        fits = {
            "independent columns": independent_fit(known),
            "Gaussian": gaussians_fit(known, (1,), random_state, context),
            "mixture of Gaussians": gaussians_fit(known, COMPONENTS, random_state, context),
        }
        return {name: fit(*rows.encoded(model)) for name, fit in fits.items()}


def _mean(values: Floats) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))
