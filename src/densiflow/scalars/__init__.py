"""Scalar maps: monotone maps of one number whose parameters a conditioner gives. An import line registers one."""

from densiflow.scalars.affine import Affine as Affine
from densiflow.scalars.base import ScalarMap as ScalarMap
from densiflow.scalars.mixture_cdf import MixtureCDF as MixtureCDF
from densiflow.scalars.rational_quadratic_spline import RationalQuadraticSpline as RationalQuadraticSpline
from densiflow.scalars.reversed import Reversed as Reversed
from densiflow.scalars.shift import Shift as Shift

__all__ = ["Affine", "MixtureCDF", "RationalQuadraticSpline", "Reversed", "ScalarMap", "Shift"]
