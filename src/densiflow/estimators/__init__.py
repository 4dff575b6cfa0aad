"""Estimators in scikit-learn's manner: a table in, a density out."""

from densiflow.estimators.density import FlowDensity as FlowDensity

__all__ = ["FlowDensity"]
