"""A table that was not fitted on, read as the columns that the model has."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densiflow.table import frames
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]


def as_fitted(encoder: Encoder, table: Any, what: str, *, mixed: bool) -> Floats:
    """The cells of a table (n, d) that has the columns fitted on; as `frames.matching`, with its errors.

    Columns left out in fitting say nothing: nobody reads them, and they may be missing. They are NaN.
    """
    schema, kept = encoder.schema, encoder.kept
    if len(kept) == schema.width:
        return frames.matching(schema, table, what, mixed=mixed)
    cells = frames.matching(schema.only(kept), _without(encoder, table), what, mixed=mixed)
    matrix = np.full((len(cells), schema.width), np.nan)
    matrix[:, kept] = cells
    return matrix


def _without(encoder: Encoder, table: Any) -> Any:
    """The table without the columns that were left out, where it has them."""
    import narwhals as nw

    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return nw.to_native(frame.select([name for name in frame.columns if name not in encoder.left_out]))
    cells = np.asarray(table, object) if isinstance(table, list | tuple) else np.asarray(table)
    return cells[:, encoder.kept] if cells.ndim == 2 and cells.shape[1] == encoder.schema.width else table
