"""What a fitted model can be asked, said once: not every model can do everything."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError

Floats = NDArray[Any]


def names_of(model: Any, width: int) -> list[str]:
    """The model's column names, "column 0" and so on where it has none."""
    schema = getattr(getattr(model, "encoder_", None), "schema", None)
    if schema is None:
        return [f"column {i}" for i in range(width)]
    return [key if isinstance(key, str) else f"column {key}" for key in schema.keys]


def pit_names(model: Any, columns: list[str]) -> list[str]:
    """What the columns of ``pit`` are: the table's, or base columns where a flow of real numbers mixes them."""
    from densiflow.bases import Mixed

    flow = getattr(model, "flow_", None)
    base = getattr(getattr(flow, "flows", flow), "base", None)
    return columns if base is None or isinstance(base, Mixed) else [f"z{j}" for j in range(len(columns))]


def given(context: Any) -> dict[str, Any]:
    """A context as keyword arguments: none where there is none."""
    return {} if context is None else {"context": context}


def pit(model: Any, X: Any, *, context: Any = None, random_state: int | None = 0) -> Floats:
    """``model.pit(X)``, (n, columns); `ArgumentError` where the model has none."""
    return np.asarray(_method(model, "pit")(X, random_state=random_state, **given(context)), np.float64)


def column_scores(model: Any, X: Any, *, context: Any = None) -> Floats:
    """``model.column_scores(X)``, (n, columns); `ArgumentError` where the model has none."""
    return np.asarray(_method(model, "column_scores")(X, **given(context)), np.float64)


def _method(model: Any, name: str) -> Any:
    method = getattr(model, name, None)
    if method is None:
        raise ArgumentError(f"this {type(model).__name__} has no {name}, so it can't say that of its columns")
    return method
