"""A fitted `FlowDensity` as a model file holds it."""

from dataclasses import asdict
from typing import Any, TypeVar

from densiflow.ensemble import Ensemble
from densiflow.errors import ModelFileError
from densiflow.estimators.auto import Choices
from densiflow.estimators.features import remember_features
from densiflow.estimators.given import width_of
from densiflow.estimators.mixed_rows import Model
from densiflow.estimators.parameters import held_params, restored_params
from densiflow.flow import Flow
from densiflow.table.encode import Encoder
from densiflow.training import History

T = TypeVar("T")


def to_state(estimator: Any) -> dict[str, Any]:
    """Everything that a file holds, as nested mappings of plain values, arrays and the flow."""
    return {
        "params": held_params(estimator),
        "flow": estimator.flow_,
        "encoder": estimator.encoder_.to_state(),
        "context_encoder": None if estimator.context_encoder_ is None else estimator.context_encoder_.to_state(),
        "histories": [asdict(history) for history in estimator.histories_],
        "choices": asdict(estimator.choices_),
    }


def from_state(cls: type[T], state: dict[str, Any]) -> T:
    """Undo `to_state`."""
    flow = state["flow"]
    params = restored_params(state["params"], flow.unstacked()[0] if isinstance(flow, Ensemble) else flow)
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
