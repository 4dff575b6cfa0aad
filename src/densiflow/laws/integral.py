r"""Integrals of a density that can be sampled, by importance sampling around its own samples.

.. math:: \int p(x)\,dx = \operatorname{E}_{x \sim q}\left[\frac{p(x)}{q(x)}\right]

The proposal q is a mixture of Student t distributions, each as wide and as slanted as the samples near its middle,
and one Cauchy distribution as wide as all of them. So it follows sharp and bent densities, it covers what no sample
has met, and the estimate brings its own error. A grid would do neither.

Source: Owen 2013, "Monte Carlo theory, methods and examples", chapter 9.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from densiflow.laws.trial import Numbers

COLUMNS = 5  # beyond, the weights are a few huge ones, and an estimate of the sum notices nothing
DRAWS = 16384
GUIDES = 4096  # samples that shape the proposal
COMPONENTS = 64
NEIGHBOURS = 200  # samples that give one component its shape
ERRORS = 5.0  # standard errors that are put down to chance
ALLOWANCE = 0.005  # what is allowed besides, for mass in places that no sample has met
UNKNOWN = 0.2  # a sum with a larger standard error can't be said to be one
FREQUENCIES = 24


class _Component(NamedTuple):
    middle: Numbers
    spread: Numbers  # lower triangular
    freedom: float
    draws: int


class Weighted(NamedTuple):
    """Draws from the proposal and the density's weight on each, 1 on average where the density sums to one."""

    x: Numbers
    weight: Numbers


def weighted(log_prob: Callable[[Numbers], Numbers], samples: Numbers, rng: np.random.Generator) -> Weighted:
    """Weigh `DRAWS` draws by a log density, (rows, dim) to (rows,); NaN counts as no density at all."""
    components = list(_around(samples[np.isfinite(samples).all(axis=1)]))
    x = np.concatenate([_draw(component, rng) for component in components])
    log_q = np.full(len(x), -np.inf)
    for component in components:
        log_q = np.logaddexp(log_q, _log_prob(component, x) + math.log(component.draws / len(x)))
    log_p = log_prob(x)
    return Weighted(x, np.exp(np.where(np.isnan(log_p), -np.inf, log_p) - log_q))


def sum_differs(of: Weighted) -> str | None:
    """What the density sums to, if not to one."""
    total = float(np.mean(of.weight))
    error = float(np.std(of.weight)) / math.sqrt(len(of.weight))
    if abs(total - 1) <= ERRORS * error + ALLOWANCE and error <= UNKNOWN:
        return None
    return f"its density sums to {total:.4g} with standard error {error:.2g}"


def samples_differ(of: Weighted, samples: Numbers, rng: np.random.Generator) -> str | None:
    """How samples and density disagree: on means of cosines and sines, which exist for any tails."""
    middle = np.median(samples, axis=0)
    scale = np.subtract(*np.quantile(samples, [0.75, 0.25], axis=0)) + np.finfo(np.float64).tiny
    frequencies = rng.normal(size=(samples.shape[1], FREQUENCIES)) * rng.choice([0.5, 1.0, 2.0], FREQUENCIES)

    def features(x: Numbers) -> Numbers:
        phase = ((x - middle) / scale) @ frequencies
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)

    drawn, expected = features(samples), features(of.x)
    share = of.weight / np.sum(of.weight)
    difference = np.mean(drawn, axis=0) - share @ expected
    variance = np.var(drawn, axis=0) / len(drawn) + share**2 @ (expected - share @ expected) ** 2
    errors = float(np.max(np.abs(difference) / (np.sqrt(variance) + ALLOWANCE / ERRORS)))
    return None if errors <= ERRORS else f"its samples are {errors:.1f} standard errors away from its density"


def _around(samples: Numbers) -> Iterator[_Component]:
    scale = np.subtract(*np.quantile(samples, [0.9, 0.1], axis=0)) + np.finfo(np.float64).tiny
    draws = DRAWS * 7 // 8 // COMPONENTS
    ridge = np.diag((1e-8 * scale) ** 2)  # keeps a flat neighbourhood invertible
    for middle in samples[:COMPONENTS]:
        distance = np.sum(((samples - middle) / scale) ** 2, axis=1)
        near = samples[np.argpartition(distance, min(NEIGHBOURS, len(samples) - 1))[:NEIGHBOURS]]
        spread = 2 * np.cov(near.T).reshape(ridge.shape) + ridge
        yield _Component(np.mean(near, axis=0), np.asarray(np.linalg.cholesky(spread), np.float64), 3.0, draws)
    yield _Component(np.median(samples, axis=0), np.diag(scale), 1.0, DRAWS - COMPONENTS * draws)


def _draw(component: _Component, rng: np.random.Generator) -> Numbers:
    normal = rng.normal(size=(component.draws, len(component.middle)))
    stretch = np.sqrt(rng.chisquare(component.freedom, size=(component.draws, 1)) / component.freedom)
    return component.middle + (normal / stretch) @ component.spread.T


def _log_prob(component: _Component, x: Numbers) -> Numbers:
    """The multivariate Student t log density."""
    middle, spread, freedom, _ = component
    dim = len(middle)
    squares = np.sum(np.linalg.solve(spread, (x - middle).T) ** 2, axis=0)
    constant = math.lgamma((freedom + dim) / 2) - math.lgamma(freedom / 2) - dim / 2 * math.log(freedom * math.pi)
    volume = float(np.sum(np.log(np.diag(spread))))
    return np.asarray(constant - volume - (freedom + dim) / 2 * np.log1p(squares / freedom))
