"""What a fitted model can be asked, said once: not every model can do everything."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError

Floats = NDArray[Any]


def names_of(model: Any, width: int) -> list[str]:
    """The model's column names, or "column 0" and so on where they have none."""
    schema = getattr(getattr(model, "encoder_", None), "schema", None)
    names = None if schema is None else schema.names
    return [str(name) for name in names] if names else [f"column {i}" for i in range(width)]


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
