"""The scalar maps that the kernels know."""

from typing import Any, NamedTuple

import numpy as np

from densiflow.scalars.affine import Affine
from densiflow.scalars.rational_quadratic_spline import FEW, RationalQuadraticSpline
from densiflow.scalars.shift import Shift


class Kernels(NamedTuple):
    """What the kernels of a scalar map are called by, and the numbers that they are told of it."""

    family: str
    told: dict[str, np.number[Any]]


def kernels_of(scalar: Any) -> Kernels | None:
    """None for a scalar map without kernels.

    >>> kernels_of(RationalQuadraticSpline(bins=5)).family, kernels_of(RationalQuadraticSpline(bins=100))
    ('made_spline', None)
    """
    match scalar:
        case Affine(form="exp", bound=bound):
            return Kernels("made", {"bound": np.float32(bound or 0.0)})
        case Shift():
            return Kernels("made_shift", {"numbers": np.int64(1)})
        case RationalQuadraticSpline(bins=bins, bound=bound) if bins <= FEW:
            return Kernels("made_spline", {"bound": np.float32(bound), "bins": np.int64(bins)})
        case _:
            return None
