"""What a fitted model says of the cells of a row, one after the other, and its base space."""

import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from densiflow.bases import Normal, StudentT
from densiflow.ensemble import Ensemble
from densiflow.errors import ArgumentError
from densiflow.estimators import columns, conditioning, mixed_rows
from densiflow.estimators.fitted import Fitted
from densiflow.estimators.mixed_rows import Model
from densiflow.flow import Flow
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def column_scores(
    fitted: Fitted, matrix: Floats, context: Floats | None, key: Array, draws: int
) -> tuple[Floats, Floats]:
    """(n, columns) each: the log probability of each cell given those before it, and its standard error.

    A cell that says nothing adds nothing.
    """
    known = fitted.encoder.says_something(matrix)
    if not mixed_rows.is_mixed(fitted.model):
        return _steps(fitted, matrix, known, context, key, draws)
    x, log_volumes = fitted.encoder.encode_columns(matrix)
    nats = columns.summed(fitted.encoder, mixed_rows.log_probs(fitted.model, x, context), log_volumes)
    error = np.zeros(nats.shape)
    some = ~known.all(axis=1)
    if some.any():
        given = None if context is None else conditioning.for_each(context, len(x))[some]
        nats[some], error[some] = _steps(fitted, matrix[some], known[some], given, key, draws)
    return nats, error


def _steps(
    fitted: Fitted, matrix: Floats, known: Booleans, context: Floats | None, key: Array, draws: int
) -> tuple[Floats, Floats]:
    r"""Column by column of those known (n, columns), by how much it lowers the density of those before it.

    .. math:: \log p(x_j \mid x_{<j}) = \log p(x_{\le j}) - \log p(x_{<j})
    """
    nats, error = np.zeros(matrix.shape), np.zeros(matrix.shape)
    before, error_before = np.zeros(len(matrix)), np.zeros(len(matrix))
    context = None if context is None else conditioning.for_each(context, len(matrix))
    first = np.zeros(matrix.shape, bool)
    for i in np.flatnonzero(fitted.encoder.modelled):
        rows = np.flatnonzero(known[:, i])
        first[rows, i] = True
        given = None if context is None else context[rows]
        upto, error_upto = conditioning.of_known(fitted, matrix[rows], first[rows], given, key, draws)
        possible = np.where(np.isneginf(before[rows]), 0.0, before[rows])
        nats[rows, i] = upto - possible  # impossible from its first such cell on
        error[rows, i] = np.hypot(error_upto, error_before[rows])
        before[rows], error_before[rows] = upto, error_upto
    return nats, error


def pit(model: Model, encoder: Encoder, matrix: Floats, context: Floats | None, rng: np.random.Generator) -> Floats:
    r"""(n, columns): the probability of less than each cell, drawn from the interval that a discrete cell takes.

    For a flow of real numbers it is that of z under the base, whose columns are independent there; for an ensemble of
    them, in the base space of a member drawn by how likely it found the row,

    .. math:: P(m \mid x) = \frac{p_m(x)}{\sum_k p_k(x)}

    That is the probability that m drew a row of the mixture. So where the mixture is right these too are uniform and
    independent, exactly.
    """
    x, _ = encoder.encode(matrix)
    if mixed_rows.is_mixed(model):
        return columns.uniform(*columns.intervals(encoder, x, *mixed_rows.tails(model, x, context)), rng)
    if isinstance(model, Ensemble):
        return _levels_of_a_member(model.unstacked(), x, context, rng)
    return _levels_in_base(model, np.asarray(model.to_base(x, context)[0], np.float64))


def to_base(flow: Flow, encoder: Encoder, matrix: Floats, context: Floats | None) -> Floats:
    """Cells to base space (n, columns); of a mixed row, the standard normal quantiles of the cells' intervals.

    Those are computed in float64, since float32 has one quantile for many numbers where there is little density.
    """
    x, _ = encoder.encode(matrix)
    if not mixed_rows.is_mixed(flow):
        return np.asarray(flow.to_base(x, context)[0], np.float64)
    x = mixed_rows.rounded_cells(flow, x)
    with mixed_rows.in_float64(flow) as wide:
        return columns.middle_quantiles(*columns.intervals(encoder, x, *mixed_rows.tails(wide, x, context)))


def to_cells(flow: Flow, encoder: Encoder, z: Floats, context: Floats | None) -> Floats:
    """Undo `to_base`."""
    if mixed_rows.is_mixed(flow):
        with mixed_rows.in_float64(flow) as wide:
            return encoder.decode(mixed_rows.at_quantiles(wide, columns.spread(encoder, z), context))
    return encoder.decode(np.asarray(flow.to_data(z, context)[0], np.float64))


def _levels_of_a_member(members: list[Flow], x: Floats, context: Floats | None, rng: np.random.Generator) -> Floats:
    """(n, columns): levels in base space of one member for each row, drawn by its share in the row's density."""
    nats = np.stack([np.asarray(member.log_prob(x, context), np.float64) for member in members])
    chosen = np.argmax(nats + rng.gumbel(size=nats.shape), axis=0)
    levels = np.empty(x.shape)
    for m, member in enumerate(members):
        own = chosen == m
        given = None if context is None else conditioning.for_each(context, len(x))[own]
        levels[own] = _levels_in_base(member, np.asarray(member.to_base(x[own], given)[0], np.float64))
    return levels


def _levels_in_base(flow: Flow, z: Floats) -> Floats:
    """The distribution function of each column of the base."""
    base = flow.base
    if isinstance(base, StudentT):
        degrees, scale = (np.asarray(constant, np.float64) for constant in base.constants())
        return np.asarray(stdtr(degrees, z / scale), np.float64)
    if isinstance(base, Normal):
        mean, scale = (np.asarray(c, np.float64) for c in (base.mean.value, np.exp(base.log_scale.value)))
        return np.asarray(ndtr((z - mean) / scale), np.float64)
    raise ArgumentError(f"the columns of a {type(base).__name__} base have no distribution functions here")
