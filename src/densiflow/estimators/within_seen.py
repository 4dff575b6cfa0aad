"""Draws that keep within the numbers seen in fitting."""

from collections.abc import Callable

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow import rows
from densiflow.ensemble import Ensemble
from densiflow.flow import Flow, Places
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

MOST_TIMES = 10  # that a row is drawn; then what is beyond is moved to what was seen


def drawn(model: Flow | Ensemble, encoder: Encoder, key: Array, places: Places, context: Floats | None) -> Floats:
    """Rows x (n, width) at these places among the random numbers (n,), each given its own context (n, c).

    A row depends on the key, its place and its context alone.
    """

    def draw(time: int, members: Places) -> Floats:
        given = None if context is None else context[members]
        x = model.sample(key_at(key, time), len(members) if given is None else 1, given, start=places[members])
        return np.array(x, np.float64).reshape(len(members), -1)

    return anew(draw, encoder.is_beyond_seen, len(places), at_once(model, len(places)))


def anew(
    draw: Callable[[int, Places], Floats], is_beyond: Callable[[Floats], Booleans], count: int, size: int
) -> Floats:
    """Rows (count, width) of which those that leave what was seen are drawn anew, `size` at once.

    So rows follow the density given that they lie within, and none are heaped at the ends. ``draw`` is told how often
    rows were drawn before, and which (k,) to draw.
    """
    x = draw(0, np.arange(count))
    for time in range(1, MOST_TIMES):
        beyond = np.flatnonzero(is_beyond(x))
        for start in range(0, len(beyond), size):
            part = beyond[start : start + size]
            x[part] = draw(time, np.resize(part, size))[: len(part)]  # filled up: the program of the first time does
        if not len(beyond):
            break
    return x


def key_at(key: Array, time: int) -> Array:
    """The key of draws that are the first, or made anew for the nth time."""
    return key if time == 0 else jax.random.fold_in(key, time)


def at_once(model: Flow | Ensemble, count: int) -> int:
    """Of so many rows as many as one program draws."""
    return min(count, rows.piece(count, rows.sizes_for(model)))
