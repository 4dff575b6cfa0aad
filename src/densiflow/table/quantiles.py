"""Quantiles of weighted numbers, and the shape they tell of."""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from densiflow.table.columns.base import Floats


def weighted_quantiles(values: Floats, weight: Floats, shares: ArrayLike) -> Floats:
    """The least numbers below or at which lie these shares of the weight; a weight of 2 is a number repeated.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), [0.25, 0.5, 1.0])
    array([1., 2., 3.])
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    wanted = np.asarray(shares, np.float64) * below[-1] * (1 - 1e-12)  # the rounding of the sum
    return np.asarray(values[order][np.minimum(np.searchsorted(below, wanted), len(values) - 1)])


def normal_scores(shares: ArrayLike) -> Floats:
    """The standard normal's quantiles.

    >>> normal_scores([0.5, 0.975]).round(3)
    array([0.  , 1.96])
    """
    return np.array([NormalDist().inv_cdf(float(share)) for share in np.ravel(shares)])
