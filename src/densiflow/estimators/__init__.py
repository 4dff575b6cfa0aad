"""Estimators in scikit-learn's manner: a table in, a density out."""

from densiflow.estimators.classifier import FlowClassifier as FlowClassifier
from densiflow.estimators.density import FlowDensity as FlowDensity
from densiflow.estimators.outliers import FlowOutlierDetector as FlowOutlierDetector
from densiflow.estimators.regressor import FlowRegressor as FlowRegressor

__all__ = ["EXPECTED_FAILED_CHECKS", "FlowClassifier", "FlowDensity", "FlowOutlierDetector", "FlowRegressor"]

_BY_BATCHES = (
    "rows are held out and put in batches at random, so other rows of the same weight are held out; with "
    'validation=0, one batch and dtype="float64" the check passes'
)

EXPECTED_FAILED_CHECKS = {
    name: {"check_sample_weight_equivalence_on_dense_data": _BY_BATCHES}
    for name in ("FlowClassifier", "FlowDensity", "FlowOutlierDetector", "FlowRegressor")
}
