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


def column_scores(
    fitted: Fitted, matrix: Floats, context: Floats | None, key: Array, draws: int
) -> tuple[Floats, Floats]:
    """(n, columns) each: the log probability of each cell given those before it, and its standard error."""
    if not mixed_rows.is_mixed(fitted.model):
        return _steps(fitted, matrix, context, key, draws)
    x, log_volumes = fitted.encoder.encode_columns(matrix)
    nats = columns.summed(fitted.encoder, mixed_rows.log_probs(fitted.model, x, context), log_volumes)
    return nats, np.zeros(nats.shape)


def _steps(fitted: Fitted, matrix: Floats, context: Floats | None, key: Array, draws: int) -> tuple[Floats, Floats]:
    r"""Column by column, by how much it lowers the density of those before it.

    .. math:: \log p(x_j \mid x_{<j}) = \log p(x_{\le j}) - \log p(x_{<j})
    """
    nats, error = np.zeros(matrix.shape), np.zeros(matrix.shape)
    before, error_before = np.zeros(len(matrix)), np.zeros(len(matrix))
    known = np.zeros(matrix.shape, bool)
    for i in np.flatnonzero(conditioning.modelled(fitted.encoder)):
        known[:, i] = True
        upto, error_upto = conditioning.of_known(fitted, matrix, known, context, key, draws)
        nats[:, i] = upto - np.where(np.isneginf(before), 0.0, before)  # impossible from its first such cell on
        error[:, i] = np.hypot(error_upto, error_before)
        before, error_before = upto, error_upto
    return nats, error


def pit(model: Model, encoder: Encoder, matrix: Floats, context: Floats | None, rng: np.random.Generator) -> Floats:
    """(n, columns): the probability of less than each cell, drawn from the interval that a discrete cell takes.

    For a flow of real numbers it is that of z under the base, whose columns are independent there.
    """
    x, _ = encoder.encode(matrix)
    if mixed_rows.is_mixed(model):
        return columns.uniform(*columns.intervals(encoder, x, *mixed_rows.tails(model, x, context)), rng)
    if isinstance(model, Ensemble):
        raise ArgumentError(
            "an ensemble of flows of real numbers has no one base space where cells have a place: fit with ensemble=1 "
            "or flow='mixed', or take a member from flow_.unstacked()"
        )
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
