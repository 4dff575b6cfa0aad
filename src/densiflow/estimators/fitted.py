"""The error for an estimator used before it was fitted."""

from typing import Any

from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from densiflow.errors import DensiflowError


class NotFittedError(DensiflowError, SklearnNotFittedError):  # type: ignore[misc]
    """An estimator is used before it was fitted."""


def check_fitted(estimator: Any) -> None:
    """Raise `NotFittedError` unless the estimator has a fitted flow."""
    if not hasattr(estimator, "flow_"):
        raise NotFittedError(f"this {type(estimator).__name__} is not fitted yet: call fit first, or load a saved one")
