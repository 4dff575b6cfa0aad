"""Rows as dots: checked, thinned, and coloured by where they lie."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ShapeError, TableError

Floats = NDArray[Any]

MOST_DOTS = 4000  # more would only blacken a panel


def checked_rows(values: ArrayLike, name: str, columns: int) -> Floats:
    """Rows (n, columns) in float64; `ShapeError` for another shape, `TableError` for a cell that is not finite."""
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns or not len(rows):
        raise ShapeError(f"{name} must have shape (rows, {columns}) with at least one row, got {rows.shape}")
    bad = ~np.isfinite(rows)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TableError(f"{name} must be finite, but row {row}, column {column} holds {rows[row, column]}; drop it")
    return rows


def thinned(rows: Floats, most: int = MOST_DOTS) -> Floats:
    """At most `most` rows, evenly spaced in their order."""
    return rows[:: -(-len(rows) // most)]


def colour_wheel(points: Floats) -> Floats:
    """A colour for each point (n, 2), so that eyes can follow it elsewhere: (n, 3), red, green and blue in 0 .. 1.

    The hue is the direction from the middle of the points, and colours fade towards that middle.

    >>> right, up, middle = colour_wheel(np.array([[1.0, -0.5], [0.0, 1.0], [0.0, 0.0]]))
    >>> right.argmax(), up.argmax()  # red, green
    (np.int64(0), np.int64(1))
    """
    from matplotlib.colors import hsv_to_rgb

    spread = np.std(points, axis=0)
    across, up = ((points - np.mean(points, axis=0)) / np.where(spread > 0, spread, 1.0)).T
    radius = np.hypot(across, up)
    rank = np.argsort(np.argsort(radius)) / max(len(radius) - 1, 1)
    hue = (np.arctan2(up, across) / (2 * np.pi)) % 1.0
    colours: Floats = hsv_to_rgb(np.stack([hue, 0.35 + 0.53 * rank, np.full_like(hue, 0.8)], axis=1))
    return colours
