"""A fitted `FlowDensity` as a model file holds it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from densiflow.ensemble import Ensemble
from densiflow.errors import ModelFileError
from densiflow.estimators.auto import Choices
from densiflow.estimators.features import remember_features
from densiflow.estimators.given import width_of
from densiflow.estimators.mixed_rows import Model
from densiflow.flow import Flow
from densiflow.table.encode import Encoder
from densiflow.training import History

T = TypeVar("T")


def to_state(estimator: Any) -> dict[str, Any]:
    """Everything that a file holds, as nested mappings of plain values, arrays and the flow."""
    params = estimator.get_params(deep=False)
    if not isinstance(params["random_state"], int | None):
        params["random_state"] = None  # a generator's state is not part of what was fitted
    if isinstance(params["flow"], Flow):
        params["flow"] = None
    if params["dtype"] is not None:
        params["dtype"] = np.dtype(params["dtype"]).name
    if isinstance(params["columns"], Mapping):  # pairs, since a file's mappings have text as keys
        params["columns"] = tuple((key, _pairs(kind)) for key, kind in params["columns"].items())
    return {
        "params": params,
        "flow": estimator.flow_,
        "encoder": estimator.encoder_.to_state(),
        "context_encoder": None if estimator.context_encoder_ is None else estimator.context_encoder_.to_state(),
        "histories": [asdict(history) for history in estimator.histories_],
        "choices": asdict(estimator.choices_),
    }


def from_state(cls: type[T], state: dict[str, Any]) -> T:
    """Undo `to_state`."""
    params = dict(state["params"])
    if params["flow"] is None:
        flow = state["flow"]
        params["flow"] = flow.unstacked()[0] if isinstance(flow, Ensemble) else flow
    if isinstance(params["columns"], tuple):
        params["columns"] = {key: kind if isinstance(kind, str) else dict(kind) for key, kind in params["columns"]}
    estimator: Any = cls(**params)
    estimator.encoder_ = Encoder.from_state(state["encoder"])
    context = state["context_encoder"]
    estimator.context_encoder_ = None if context is None else Encoder.from_state(context)
    estimator.flow_ = _matching_flow(state["flow"], estimator.encoder_, estimator.context_encoder_)
    # files of earlier versions hold one history
    estimator.histories_ = [History.of(saved) for saved in state.get("histories") or [state["history"]]]
    estimator.history_ = estimator.histories_[0]
    estimator.choices_ = Choices(**state["choices"])
    remember_features(estimator, estimator.encoder_.schema)
    return estimator


def _pairs(kind: Any) -> Any:
    """A kind with options as pairs."""
    return tuple(kind.items()) if isinstance(kind, Mapping) else kind


def _matching_flow(flow: Any, encoder: Encoder, context_encoder: Encoder | None) -> Model:
    """The flow of a model file; `ModelFileError` unless it takes what the encoders give."""
    if not isinstance(flow, Flow | Ensemble):
        raise ModelFileError(f"holds an estimator whose flow is of type {type(flow).__name__}")
    widths = encoder.width, width_of(context_encoder)
    if (flow.dim, flow.context_dim) != widths:
        raise ModelFileError(
            f"holds a flow of {flow.dim} columns and {flow.context_dim} context columns, but encoders of "
            f"{widths[0]} and {widths[1]}"
        )
    return flow
