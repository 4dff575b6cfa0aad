"""Scalar maps: monotone maps of one number whose parameters a conditioner gives. An import line registers one."""

from densiflow.scalars.affine import Affine as Affine
from densiflow.scalars.base import ScalarMap as ScalarMap

__all__ = ["Affine", "ScalarMap"]
