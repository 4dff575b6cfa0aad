"""What a conditional density says of its columns given each row of a context: means and quantiles.

Every row sees the same fixed points of base space, so its result does not depend on the rows beside it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from densiflow.bases import Normal
from densiflow.ensemble import Ensemble
from densiflow.estimators.density import FlowDensity
from densiflow.estimators.mixed_rows import is_mixed
from densiflow.flow import Flow
from densiflow.table import frames

Floats = NDArray[np.float64]

NODES = 128  # of the quadrature of one column's mean
POINTS = 1024  # that stand for the distribution of several columns
VALUES = 2**18  # numbers mapped at once, at most
HALVINGS = 50  # of an interval that holds a quantile


def means(density: FlowDensity, context: Any) -> Floats:
    r"""Give the mean of each column given each context row: (rows, columns).

    .. math:: \operatorname E[y \mid x] = \int_0^1 Q(u \mid x)\, du

    For one column by Gauss-Legendre quadrature of its quantile function Q, for several over `_points`.
    """
    if not _has_levels(density):
        return _in_pieces(lambda piece: _points(density, piece).mean(axis=1), context, POINTS)
    u, weight = _gauss_legendre()
    each = members(density)

    def mean(piece: Any) -> Floats:
        return np.mean([_quantiles(member, piece, u) @ weight for member in each], axis=0)[:, None]

    return _in_pieces(mean, context, NODES)


def quantiles(density: FlowDensity, context: Any, levels: Floats) -> Floats:
    """Give the quantiles (levels,) of each column by itself, given each context row: (rows, columns, levels)."""

    def of_points(piece: Any) -> Floats:
        drawn = np.quantile(_points(density, piece), levels, axis=1, method="hazen")
        return drawn.transpose(1, 2, 0)

    def of_one(piece: Any) -> Floats:
        return _mixture_quantiles(members(density), piece, levels)[:, None]

    if _has_levels(density):
        return _in_pieces(of_one, context, len(levels))
    return _in_pieces(of_points, context, POINTS)


def sliceable(table: Any) -> Any:
    """A table of any container as a data frame or an array."""
    import narwhals as nw

    table = nw.to_native(table, pass_through=True)
    return np.asarray(table) if frames.container_of(table) == "numpy" else table


def _in_pieces(function: Callable[[Any], Floats], context: Any, each: int) -> Floats:
    """A function of context rows, which maps `each` numbers a row, over so few rows at once that memory is bounded."""
    size = max(VALUES // each, 1)
    index = np.arange(len(context))
    if len(index) <= size:
        return function(context)
    return np.concatenate([function(frames.rows_at(context, index[i : i + size])) for i in range(0, len(index), size)])


def _has_levels(density: FlowDensity) -> bool:
    """Whether there is one column on a standard normal base: then a level of z is the same level of the column.

    An ensemble of columns with jumps has no such levels, only its members.
    """
    smooth = density.encoder_.plain or not isinstance(density.flow_, Ensemble)
    return density.n_features_in_ == 1 and _on_standard_normal(density) and smooth


def _on_standard_normal(density: FlowDensity) -> bool:
    """Whether z is standard normal; for mixed rows, `FlowDensity.transform` makes it so."""
    if is_mixed(density.flow_):
        return True
    base = (density.flow_.flows if isinstance(density.flow_, Ensemble) else density.flow_).base
    return isinstance(base, Normal) and not (np.any(base.mean.value) or np.any(base.log_scale.value))


def members(density: FlowDensity) -> list[FlowDensity]:
    """The density itself, or the density of each flow of its ensemble."""
    if not isinstance(density.flow_, Ensemble):
        return [density]
    return [_with_flow(density, flow) for flow in density.flow_.unstacked()]


def _with_flow(density: FlowDensity, flow: Flow) -> FlowDensity:
    member = object.__new__(FlowDensity)
    member.__dict__.update(density.__dict__, flow_=flow)
    return member


def _values(density: FlowDensity, context: Any, z: Floats) -> Floats:
    """Points z (k, columns) of base space as data, given each context row: (rows, k, columns)."""
    rows, k = len(context), len(z)
    given = frames.rows_at(context, np.repeat(np.arange(rows), k))
    data = density.inverse_transform(np.tile(z, (rows, 1)), context=given)
    return np.asarray(data, np.float64).reshape(rows, k, -1)


# one column


@lru_cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    """Levels from 0 to 1 and their weights."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    return (node + 1) / 2, weight / 2


def _quantiles(density: FlowDensity, context: Any, levels: Floats) -> Floats:
    """The column's quantiles given each context row: (rows, levels)."""
    return _values(density, context, ndtri(levels)[:, None])[..., 0]


def _mixture_quantiles(parts: list[FlowDensity], context: Any, levels: Floats) -> Floats:
    """The quantiles of the parts' mixture: by bisection, between those of the parts."""
    each = np.stack([_quantiles(part, context, levels) for part in parts])
    low, high = each.min(axis=0), each.max(axis=0)
    for _ in range(HALVINGS if len(parts) > 1 else 0):
        middle = low + (high - low) / 2
        below = _mixture_distribution(parts, context, middle) < levels
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low + (high - low) / 2


def _mixture_distribution(parts: list[FlowDensity], context: Any, y: Floats) -> Floats:
    """The mixture's distribution function at y (rows, k) given each context row."""
    given = frames.rows_at(context, np.repeat(np.arange(len(y)), y.shape[1]))
    z = np.stack([part.transform(y.reshape(-1, 1), context=given) for part in parts])
    return np.mean(ndtr(z), axis=0).reshape(y.shape)


# several columns, or another base


def _points(density: FlowDensity, context: Any) -> Floats:
    """Points (rows, k, columns) that stand for the distribution given each context row, each as much as another.

    Quasi-random where the base is standard normal; else random, the same random numbers for every row.
    """
    if not _on_standard_normal(density):
        return _draws(density, context)
    z = ndtri(_quasi_random(density.n_features_in_))
    return np.concatenate([_values(member, context, z) for member in members(density)], axis=1)


@lru_cache
def _quasi_random(dim: int) -> Floats:
    """Points (k, dim) spread over the unit cube: Sobol's, each coordinate in the middle of one of k equal intervals.

    Source: Joe & Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections".
    """
    from scipy.stats import qmc

    return qmc.Sobol(dim, scramble=False).random(POINTS) + 0.5 / POINTS


def _draws(density: FlowDensity, context: Any) -> Floats:
    """Draws (rows, k, columns) from the same random numbers for every row, given its context."""
    encoded = density._encoded_context(context)
    assert encoded is not None
    size = VALUES // POINTS  # rows that the compiled program takes
    padded = np.pad(encoded, [(0, size - len(encoded)), (0, 0)], mode="edge")
    with density._fitted_precision():
        x = np.asarray(_drawn(density.flow_, padded), np.float64)[: len(encoded)]
    cells = density.encoder_.decode(x.reshape(-1, x.shape[-1]))
    return cells.reshape(x.shape)


@jax.jit
def _drawn(flow: Flow | Ensemble, context: Any) -> Any:
    return jax.vmap(lambda row: flow.sample(jax.random.key(0), POINTS, row))(context)
