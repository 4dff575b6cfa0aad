"""What a fitted model says of the cells of a row, one after the other, and its base space."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from densiflow.bases import Normal, StudentT
from densiflow.ensemble import Ensemble
from densiflow.errors import ArgumentError
from densiflow.estimators import columns, mixed_rows
from densiflow.estimators.mixed_rows import Model
from densiflow.flow import Flow
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]


def column_scores(model: Model, encoder: Encoder, matrix: Floats, context: Floats | None) -> Floats:
    """(n, columns): the log probability of each cell given those before it."""
    x, log_volumes = encoder.encode_columns(matrix)
    return columns.summed(encoder, mixed_rows.log_probs(model, x, context), log_volumes)


def pit(model: Model, encoder: Encoder, matrix: Floats, context: Floats | None, rng: np.random.Generator) -> Floats:
    """(n, columns): the probability of less than each cell, drawn from the interval that a discrete cell takes.

    For a flow of real numbers it is that of z under the base, whose columns are independent there.
    """
    x, _ = encoder.encode(matrix)
    if mixed_rows.is_mixed(model):
        return columns.uniform(*columns.intervals(encoder, x, *mixed_rows.tails(model, x, context)), rng)
    if isinstance(model, Ensemble):
        raise ArgumentError("an ensemble of flows of real numbers has no one base space: take a member of it")
    return _levels_in_base(model, np.asarray(model.to_base(x, context)[0], np.float64))


def to_base(flow: Flow, encoder: Encoder, matrix: Floats, context: Floats | None) -> Floats:
    """Cells to base space (n, columns); of a mixed row, the standard normal quantiles of the cells' intervals."""
    x, _ = encoder.encode(matrix)
    if not mixed_rows.is_mixed(flow):
        return np.asarray(flow.to_base(x, context)[0], np.float64)
    return columns.middle_quantiles(*columns.intervals(encoder, x, *mixed_rows.tails(flow, x, context)))


def to_cells(flow: Flow, encoder: Encoder, z: Floats, context: Floats | None) -> Floats:
    """Undo `to_base`."""
    if mixed_rows.is_mixed(flow):
        return encoder.decode(mixed_rows.at_quantiles(flow, columns.spread(encoder, z), context))
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
