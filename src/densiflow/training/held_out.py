"""Held-out rows that stay on the device, in pieces of the few sizes that scoring compiles."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow.flow import Flow
from densiflow.rows import piece, sizes_for
from densiflow.training.rows import Rows

Scored = Callable[[Array, Array | None], Array]  # x and context of a piece to the nats of its rows


class HeldOut:
    """Rows that judge a flow after each epoch: cut, padded and sent to the device once.

    Shapes: x (..., n, dim), context (..., n, c), weight (..., n): leading axes belong to the members of an ensemble.
    """

    def __init__(self, rows: Rows, flow: Flow) -> None:
        self.weight = rows.weight
        self.log_volume = 0.0 if rows.log_volume is None else np.average(rows.log_volume, -1, rows.weight)
        rows = rows.astype(flow.dtype)
        n = rows.x.shape[-2]
        size = piece(n, sizes_for(flow))
        cut = partial(_piece, size=size)
        self.pieces = [jax.tree.map(partial(cut, start=i), (rows.x, rows.context)) for i in range(0, n, size)]

    def scores(self, log_prob: Scored) -> NDArray[np.float64]:
        """The weighted mean of the rows' nats, (...); -inf where it is not a number."""
        waiting = [log_prob(*piece) for piece in self.pieces]  # all are under way before the first is waited for
        nats = np.concatenate([np.asarray(piece, np.float64) for piece in waiting], axis=-1)
        with np.errstate(invalid="ignore"):
            score = np.average(nats[..., : self.weight.shape[-1]], -1, self.weight) + self.log_volume
        judged: NDArray[np.float64] = np.where(np.isfinite(score), score, -np.inf)
        return judged


def _piece(rows: NDArray[Any], start: int, size: int) -> Array:
    """`size` rows from `start` on, filled up with the last of them."""
    piece = rows[..., start : start + size, :]
    padding = [(0, 0)] * (piece.ndim - 2) + [(0, size - piece.shape[-2]), (0, 0)]
    return jax.device_put(np.pad(piece, padding, mode="edge"))
