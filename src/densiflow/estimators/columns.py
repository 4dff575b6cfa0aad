"""From variables to columns of the table: what a row's parts add to its surprise, and where they stand."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]
T = TypeVar("T", bound=np.generic)


def summed(encoder: Encoder, nats: Floats, log_volumes: Floats) -> Floats:
    """(n, columns): the log probability of each cell given those before it, from those of variables (n, V).

    In the units of the table, by the log_volumes (n, columns) of the encoding.
    """
    out = log_volumes.copy()
    for v, variable in enumerate(encoder.variables):
        out[:, variable.column] += nats[:, v]
    return out


def intervals(encoder: Encoder, x: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """(n, columns) each: the probability of less and of more than each cell, from those of variables (n, V).

    A column without a variable stands in the middle. So does a cell that is impossible.
    """
    shape = len(x), encoder.schema.width
    less, more = np.full(shape, 0.5), np.full(shape, 0.5)
    start = 0
    for v, variable in enumerate(encoder.variables):
        there = np.ones(len(x), bool)
        if variable.state is not None:
            there = x[:, start - 1] == 0  # the state stands just before its value
        if variable.size:
            there = x[:, start] >= 0
        less[there, variable.column] = lower[there, v]
        more[there, variable.column] = upper[there, v]
        start += variable.width
    return less, more


def middle_quantiles(less: Floats, more: Floats) -> Floats:
    """The standard normal quantile of the middle of each interval, right in both tails."""
    mass = np.clip(1.0 - less - more, 0.0, 1.0)
    low, high = less + mass / 2, more + mass / 2
    tiny = np.finfo(np.float64).tiny
    return np.where(low < high, ndtri(np.maximum(low, tiny)), -ndtri(np.maximum(high, tiny)))


def uniform(less: Floats, more: Floats, rng: np.random.Generator) -> Floats:
    """A number of each interval, drawn uniformly; inside (0, 1)."""
    mass = np.clip(1.0 - less - more, 0.0, 1.0)
    drawn = less + rng.random(less.shape) * mass
    return np.clip(drawn, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)


def spread(encoder: Encoder, of_columns: NDArray[T]) -> NDArray[T]:
    """Numbers of columns (n, columns) given to each of their variables (n, V)."""
    return of_columns[:, [variable.column for variable in encoder.variables]]
