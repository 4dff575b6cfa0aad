"""Neural spline flows, autoregressive and of coupling layers."""

from collections.abc import Sequence
from typing import Unpack

from jax import Array

from densiflow.flow import Flow
from densiflow.recipes.autoregressive import AutoregressiveOptions, autoregressive_flow
from densiflow.recipes.coupling import CouplingOptions, coupling_flow
from densiflow.recipes.declaration import declared
from densiflow.scalars import RationalQuadraticSpline


@declared(
    formula=r"z_i = \text{spline}(x_i;\, \theta_i(x_{<i}))",
    to_base="T",
    to_data="T D",
    choose="sharp edges, several modes, one column given a context: the most exact on tables of many rows",
    universal=True,
)
def neural_spline(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (128, 128),
    bins: int = 8,
    bound: float = 3.0,
    **options: Unpack[AutoregressiveOptions],
) -> Flow:
    r"""A neural spline flow: autoregressive layers of rational-quadratic splines, with permutations between.

    .. math:: z_i = \text{spline}(x_i;\, \theta_i(x_{<i}, c)) \quad\text{in each layer}

    Splines act within ``bound`` of 0 on every (standardised) column; farther out a layer is the identity, so the tails
    are the base's.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`, and those of
    `scalars.RationalQuadraticSpline`.

    Source: Durkan et al. 2019, "Neural spline flows", RQ-NSF (AR).

    >>> import jax
    >>> flow = neural_spline(jax.random.key(0), dim=2, layers=2, hidden=(16,), bins=4)
    >>> flow.log_prob(jax.numpy.zeros((5, 2))).shape
    (5,)
    """
    scalar = RationalQuadraticSpline(bins, bound)
    return autoregressive_flow(key, dim, context_dim, scalar, layers=layers, hidden=hidden, **options)


@declared(
    formula=r"x_P = z_P, \quad z_i = \text{spline}(x_i;\, \theta_i(x_P)) \text{ for } i \notin P",
    to_base="T",
    to_data="T",
    choose="both directions fast, and nearly as exact as the autoregressive form",
    universal=True,
    least_dim=2,
)
def coupling_spline(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (128, 128),
    bins: int = 8,
    bound: float = 3.0,
    **options: Unpack[CouplingOptions],
) -> Flow:
    r"""A neural spline flow of coupling layers: rational-quadratic splines, and one pass a layer either way.

    .. math:: x_P = z_P, \qquad z_i = \text{spline}(x_i;\, \theta_i(x_P, c)) \;\text{ for } i \notin P

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `real_nvp`, and those of
    `scalars.RationalQuadraticSpline`.

    Source: Durkan et al. 2019, "Neural spline flows", RQ-NSF (C).

    >>> import jax
    >>> flow = coupling_spline(jax.random.key(0), dim=2, layers=2, hidden=(16,), bins=4)
    >>> flow.log_prob(jax.numpy.zeros((5, 2))).shape
    (5,)
    """
    scalar = RationalQuadraticSpline(bins, bound)
    return coupling_flow(key, dim, context_dim, scalar, layers=layers, hidden=hidden, **options)
