"""Draws that keep within the numbers seen in fitting."""

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow import rows
from densiflow.ensemble import Ensemble
from densiflow.flow import Flow, Places
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]

MOST_TIMES = 10  # that a row is drawn; then what is beyond is moved to what was seen


def drawn(model: Flow | Ensemble, encoder: Encoder, key: Array, places: Places, context: Floats | None) -> Floats:
    """Rows x (n, width) at these places among the random numbers (n,), each given its own context (n, c).

    A row that leaves what was seen in some column is drawn anew, so that rows follow the density given that they lie
    within, and none are heaped at the ends. A row depends on the key, its place and its context alone.
    """
    x = _at(model, key, places, context)
    size = min(len(places), rows.piece(len(places), rows.sizes_for(model)))
    for time in range(1, MOST_TIMES):
        beyond = np.flatnonzero(encoder.is_beyond_seen(x))
        again = jax.random.fold_in(key, time)
        for start in range(0, len(beyond), size):
            part = beyond[start : start + size]
            filled = np.resize(part, size)  # the program that drew the rows at first does
            x[part] = _at(model, again, places[filled], None if context is None else context[filled])[: len(part)]
        if not len(beyond):
            break
    return x


def _at(model: Flow | Ensemble, key: Array, places: Places, context: Floats | None) -> Floats:
    drawn = model.sample(key, len(places) if context is None else 1, context, start=places)
    return np.array(drawn, np.float64).reshape(len(places), -1)
