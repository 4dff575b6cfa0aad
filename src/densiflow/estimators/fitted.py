"""What a fitted density is made of, and the error for one used before it was fitted."""

from typing import Any, NamedTuple

from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from densiflow.ensemble import Ensemble
from densiflow.errors import DensiflowError
from densiflow.flow import Flow
from densiflow.table.encode import Encoder


class Fitted(NamedTuple):
    """A fitted `FlowDensity` to those that compute with it."""

    model: Flow | Ensemble
    encoder: Encoder
    given: Encoder | None  # of the context
    verbose: bool | None


class NotFittedError(DensiflowError, SklearnNotFittedError):  # type: ignore[misc]
    """An estimator is used before it was fitted."""


def check_fitted(estimator: Any) -> None:
    """Raise `NotFittedError` unless the estimator has a fitted flow."""
    if not hasattr(estimator, "flow_"):
        raise NotFittedError(f"this {type(estimator).__name__} is not fitted yet: call fit first, or load a saved one")
