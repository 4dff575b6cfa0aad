"""Pictures of all columns of a model beside a table, in one figure."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from densiflow.arguments import check_offered
from densiflow.errors import ShapeError
from densiflow.judge import pictures
from densiflow.judge.abilities import given, pit, pit_names
from densiflow.judge.calibration import Calibration, calibration
from densiflow.judge.columns import Cells, height, paired, subset, take
from densiflow.judge.correlations import correlations
from densiflow.judge.marginals import Marginal, marginals
from densiflow.judge.plots import corner
from densiflow.judge.seen import columns_seen, kept_of, whole_rows
from densiflow.judge.style import INK, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[Any]
Kind = Literal["marginals", "corner", "calibration", "correlations"]

MOST_ROWS = 10_000
ACROSS = 4


def compared(model: Any, table: Any, kind: Kind, *, context: Any = None, random_state: int = 0) -> "Figure":
    """Draw a fitted model beside a table of rows, in one of four ways.

    "marginals" are all columns by themselves, "corner" the columns of numbers in pairs, "calibration" the
    probability integral transforms in their bands, "correlations" the differences of dependence. At most 10,000 rows
    are used.

    Raises `ArgumentError` for another kind or a model that can't do it, `ShapeError` for a corner without columns of
    numbers, and as the model does for a table that does not fit it.
    """
    check_offered("kind", kind, Kind)
    rng = np.random.default_rng(random_state)
    places = subset(np.arange(height(table))[:, None], MOST_ROWS, rng)[:, 0]
    table, context = take(table, places), None if context is None else take(context, places)
    if kind == "calibration":
        names = pit_names(model, [cells.name for cells in columns_seen(model, table)])
        whole = np.flatnonzero(whole_rows(model, table))
        beside = None if context is None else take(context, whole)
        transforms = kept_of(model, pit(model, take(table, whole), context=beside, random_state=random_state))
        return calibration_grid(calibration(transforms, names))
    drawn = model.sample(height(table) if context is None else 1, random_state=random_state, **given(context))
    data, samples = columns_seen(model, table), columns_seen(model, drawn)
    if kind == "marginals":
        return marginals_grid(marginals(data, samples))
    if kind == "correlations":
        return pictures.correlations_picture(correlations(data, samples, random_state=random_state))
    pairs = [pair for pair in paired(data, samples) if not pair[0].is_label]
    if not pairs:
        raise ShapeError("a corner plot needs a column of numbers, and the table has labels only")
    data, samples = ([pair[side] for pair in pairs] for side in (0, 1))
    return corner(_whole(data), _whole(samples), [cells.name for cells in data])


def marginals_grid(found: list[Marginal]) -> "Figure":
    """Every column by itself, data shaded and samples as lines.

    >>> len(marginals_grid(marginals(np.eye(3), np.eye(3))).axes)
    3
    """
    figure = _grid(len(found), lambda axes, j: pictures.draw_marginal(axes, found[j]))
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def calibration_grid(found: Calibration) -> "Figure":
    """Every column's calibration line in its band."""
    return _grid(len(found.names), lambda axes, j: pictures.draw_calibration(axes, found, j))


def _grid(count: int, draw: "Callable[[Axes, int], None]") -> "Figure":
    across = min(count, ACROSS)
    down = -(-count // across)
    figure = new_figure((0.3 + 2.9 * across, 0.5 + 2.1 * down))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for j, axes in enumerate(panels):
        if j < count:
            tidy(axes)
            draw(axes, j)
        else:
            axes.remove()
    return figure


def _whole(columns: list[Cells]) -> Floats:
    """Rows without a missing cell: (n, columns)."""
    rows = np.stack([cells.values for cells in columns], axis=1)
    return rows[~np.isnan(rows).any(axis=1)]
