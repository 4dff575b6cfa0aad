"""The scales that model files know, by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from densiflow.errors import UnregisteredClassError
from densiflow.table.columns.base import Scale
from densiflow.table.columns.real import Real
from densiflow.table.columns.skewed import Skewed
from densiflow.table.columns.within import Within
from densiflow.table.refusals import listed

SCALES: dict[str, type[Scale]] = {"real": Real, "within": Within, "skewed": Skewed}


def scale_to_state(scale: Scale) -> dict[str, Any]:
    """A scale as plain values that JSON can hold, with the name it is registered under."""
    return {"scale": scale.kind, "constants": scale.to_state()}


def scale_from_state(state: Mapping[str, Any]) -> Scale:
    """Undo `scale_to_state`; `UnregisteredClassError` for a name that is not known here."""
    name = state["scale"]
    if name not in SCALES:
        raise UnregisteredClassError(f"{name!r} is not a scale known here: {listed(sorted(SCALES))}")
    return SCALES[name].from_state(state["constants"])


@contextmanager
def also_known(scale: Scale | None) -> Iterator[None]:
    """Register the class of a scale for the time being; the laws try classes from elsewhere in this way."""
    is_new = scale is not None and scale.kind not in SCALES
    if scale is not None and is_new:
        SCALES[scale.kind] = type(scale)
    try:
        yield
    finally:
        if scale is not None and is_new:
            SCALES.pop(scale.kind, None)
