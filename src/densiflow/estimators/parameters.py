"""The arguments of an estimator: what those built on `FlowDensity` pass on, and what a model file holds of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from densiflow.flow import Flow

PASSED_ON = (
    "layers",
    "hidden",
    "activation",
    "ensemble",
    "validation",
    "max_epochs",
    "patience",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "dtype",
    "random_state",
    "verbose",
)


def passed_on(estimator: Any) -> dict[str, Any]:
    """The arguments that an estimator shares with the density inside it, by name."""
    return {name: getattr(estimator, name) for name in PASSED_ON}


def held_params(estimator: Any) -> dict[str, Any]:
    """The arguments as a file can hold them.

    A generator's state is not part of what was fitted, a `Flow` to start from is in the file as what became of it, and
    a mapping goes as pairs, since a file's mappings have text as keys.
    """
    params: dict[str, Any] = estimator.get_params(deep=False)
    if not isinstance(params["random_state"], int | None):
        params["random_state"] = None
    if isinstance(params["flow"], Flow):
        params["flow"] = None
    if params["dtype"] is not None:
        params["dtype"] = np.dtype(params["dtype"]).name
    return {name: _pairs(value) for name, value in params.items()}


def restored_params(params: Mapping[str, Any], flow: Any) -> dict[str, Any]:
    """Undo `held_params`; `flow` is what became of a `Flow` to start from."""
    restored = dict(params)
    if restored["flow"] is None:
        restored["flow"] = flow
    for name in ("columns", "targets"):
        if isinstance(restored.get(name), tuple):
            restored[name] = {key: kind if isinstance(kind, str) else dict(kind) for key, kind in restored[name]}
    return restored


def _pairs(value: Any) -> Any:
    return tuple((key, _pairs(part)) for key, part in value.items()) if isinstance(value, Mapping) else value
