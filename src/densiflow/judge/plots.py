"""Pictures of a fit: what was modelled beside what the model says, each a matplotlib figure.

Matplotlib is imported when a picture is drawn, and never through pyplot: drawing changes no global state.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.atomic import written_whole
from densiflow.errors import ArgumentError, ShapeError
from densiflow.judge.panels import REGIONS, density_panel
from densiflow.judge.points import checked_rows, thinned
from densiflow.judge.regions import density_levels, plot_limits, smoothed_histogram
from densiflow.judge.style import (
    DATA,
    DATA_SHADES,
    DPI,
    INK,
    MODEL,
    MODEL_SHADES,
    TRUTH,
    new_figure,
    tidy,
    title_at_left,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from densiflow.training import History

Floats = NDArray[Any]
Limits = tuple[tuple[float, float], tuple[float, float]]

SIGMAS = (0.865, 0.393)  # what 2 and 1 standard deviations hold of a normal in two dimensions


def corner(
    data: ArrayLike, samples: ArrayLike, names: Sequence[str], *, labels: tuple[str, str] = ("data", "samples")
) -> "Figure":
    """Draw every column and every pair of columns: data shaded, samples as lines.

    A pair shows the regions that hold 39% and 86% of the rows in its panel (1 and 2 standard deviations of a normal
    in two dimensions), estimated alike for data and samples by a smoothed histogram, and rows of data outside them
    as dots. Axes span the central 99% of the data.

    Shapes: ``data`` (n, columns), ``samples`` (m, columns), ``names`` (columns,) with units where there are any, as in
    "u (mag)". Raises `ShapeError` if widths differ, `TableError` for a cell that is not finite.

    >>> rng = np.random.default_rng(0)
    >>> len(corner(rng.normal(size=(500, 3)), rng.normal(size=(800, 3)), ["a (cm)", "b (cm)", "c (kg)"]).axes)
    6
    """
    columns = len(names)
    data, samples = checked_rows(data, "data", columns), checked_rows(samples, "samples", columns)
    limits = [plot_limits(column) for column in data.T]
    size = 1.2 + 1.75 * columns
    figure = new_figure((size, size))
    grid = figure.add_gridspec(columns, columns)
    for row in range(columns):
        for column in range(row + 1):
            axes = figure.add_subplot(grid[row, column])
            tidy(axes)
            axes.set_xlim(limits[column])
            if row == column:
                _draw_column(axes, data[:, row], samples[:, row], limits[row])
            else:
                axes.set_ylim(limits[row])
                _draw_pair(axes, data[:, [column, row]], samples[:, [column, row]], (limits[column], limits[row]))
            _label_edges(axes, names, row, column)
    figure.align_labels()
    _corner_legend(figure, labels, inside=columns > 1)
    return figure


def density_contours(
    log_density: Callable[[Floats], ArrayLike],
    limits: Limits,
    names: Sequence[str],
    *,
    data: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    title: str | None = None,
    resolution: int = 300,
    figure: "Figure | SubFigure | None" = None,
) -> Any:
    """Draw a density of two columns as nested highest-density regions, with data and samples in a panel beside it.

    Shares are of what lies inside the limits. The second panel is drawn when data or samples are given. Both
    columns have one scale, so a circle is round. Give part of another figure (``figure.subfigures``) to draw there.

    Shapes: ``log_density`` takes (n, 2) to (n,) nats; ``limits`` ``((x low, x high), (y low, y high))``; ``data`` and
    ``samples`` (n, 2) and (m, 2). Raises `ShapeError` for rows or names of another width, `TableError` for a cell
    that is not finite, `ArgumentError` for a density that is zero everywhere inside the limits.

    Source: Hyndman 1996, "Computing and graphing highest density regions".

    >>> figure = density_contours(lambda x: -0.5 * (x**2).sum(axis=1), ((-3, 3), (-3, 3)), ["a", "b"])
    """
    if len(names) != 2:
        raise ShapeError(f"names must name the 2 columns, got {len(names)}")
    points = {"data": data, "samples": samples}
    rows = {name: checked_rows(given, name, 2) for name, given in points.items() if given is not None}
    flatness = (limits[1][1] - limits[1][0]) / (limits[0][1] - limits[0][0])
    figure = figure or new_figure((9.2 if rows else 5.2, min(max(4.0 * flatness, 2.0), 8.0) + 0.6))
    panels = figure.subplots(1, 2 if rows else 1, squeeze=False)[0]
    _draw_density(figure, panels[0], log_density, limits, resolution)
    if rows:
        _draw_rows(panels[1], rows)
    for axes in panels:
        tidy(axes)
        axes.set(xlim=limits[0], ylim=limits[1], xlabel=names[0], ylabel=names[1], aspect="equal")
    if title is not None:
        title_at_left(panels[0], title)
    return figure


def conditional_density(
    grid: ArrayLike, densities: ArrayLike, truths: ArrayLike, labels: Sequence[str], name: str
) -> "Figure":
    """Draw the conditional density of one column for several objects, a panel each, with the true value marked.

    Heights are scaled panel by panel; the darker part is the region of highest density that holds 68%.

    Shapes: ``grid`` (g,), evenly spaced and shared, or (k, g), one for each object; ``densities`` (k, g), per unit
    of the column; ``truths`` and ``labels`` (k,). Raises `ShapeError` where they do not fit each other,
    `ArgumentError` for a density that is zero on its whole grid.

    >>> grid = np.linspace(-3.0, 3.0, 101)
    >>> figure = conditional_density(grid, [np.exp(-grid**2 / 2)] * 2, [0.1, -0.4], ["first", "second"], "x (cm)")
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['first', 'second']
    """
    grid, densities, truths = np.asarray(grid, float), np.asarray(densities, float), np.asarray(truths, float)
    if densities.ndim != 2 or not densities.size or grid.shape not in (densities.shape, densities.shape[1:]):
        raise ShapeError(
            f"densities must have shape (objects, grid points), none of them 0, and grid the same or (grid points,), "
            f"got {densities.shape} and {grid.shape}"
        )
    if not len(densities) == len(truths) == len(labels):
        raise ShapeError(f"one truth and one label an object, got {len(truths)} and {len(labels)} for {len(densities)}")
    down = -(-len(densities) // 4)
    across = -(-len(densities) // down)
    figure = new_figure((0.4 + 2.5 * across, 0.9 + 1.7 * down))
    panels = figure.subplots(down, across, squeeze=False, sharex=grid.ndim == 1)
    for above, axes in zip(panels.ravel()[len(densities) - across :], panels.ravel()[len(densities) :], strict=False):
        axes.remove()
        above.tick_params(labelbottom=True)
    grids = np.broadcast_to(grid, densities.shape)
    for axes, points, density, truth, label in zip(panels.ravel(), grids, densities, truths, labels, strict=False):
        tidy(axes)
        _draw_conditional(axes, points, density, float(truth))
        title_at_left(axes, label)
    figure.supxlabel(name, fontsize=9, color=INK)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=3, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def training_curve(history: "History") -> "Figure":
    """Draw the mean log-likelihood by epoch on training and held-out rows, with the epoch whose weights were kept.

    The axis spans the last nine tenths of training, so that a poor start does not flatten the rest. Raises
    `ArgumentError` for a history without an epoch.

    >>> from densiflow.training import History
    >>> figure = training_curve(History([-2.0, -1.5, -1.4], [-2.1, -1.6, -1.7], best_epoch=1, stopped="patience"))
    >>> figure.axes[0].get_xlabel()
    'epoch'
    """
    if not history.train:
        raise ArgumentError("there is no training curve to draw: the history holds no finished epoch")
    figure = new_figure((6.4, 3.6))
    axes = figure.add_subplot()
    tidy(axes)
    epochs = np.arange(1, len(history.train) + 1)
    axes.plot(epochs, history.train, color=DATA, linewidth=1.2, label="training rows")
    if history.validation:
        axes.plot(epochs, history.validation, color=MODEL, linewidth=1.8, label="held-out rows")
    if history.best_epoch is not None:
        _mark_best(axes, history)
    settled = np.array([*history.train[len(epochs) // 10 :], *history.validation[len(epochs) // 10 :]])
    settled = settled[np.isfinite(settled)]
    if settled.size:
        axes.set_ylim(plot_limits(settled, mass=1.0))
    axes.set(xlim=(0, len(epochs) + 1), xlabel="epoch", ylabel="mean log-likelihood (nats a row)")
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="lower right", edgecolor="none", framealpha=1.0, fontsize=8, labelcolor=INK)
    return figure


def save_figure(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all, with no clock in the file.

    Raises `ArgumentError` for a name that does not end in .png, `OutputPathError` for a path that can't be written.
    """
    if not os.fspath(path).lower().endswith(".png"):
        raise ArgumentError(f"pictures are written as PNG: give a name that ends in .png, got {path}")
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=DPI, facecolor="white")


def _cells(rows: int) -> int:
    """Bins of an axis: finer for more rows, between 25 and 80."""
    return int(np.clip(2.2 * rows ** (1 / 3), 25, 80))


def _draw_column(axes: "Axes", data: Floats, samples: Floats, limits: tuple[float, float]) -> None:
    edges = np.linspace(*limits, _cells(min(len(data), len(samples))) + 1)
    for values, style in (
        (data, {"histtype": "stepfilled", "facecolor": DATA_SHADES[0], "edgecolor": DATA}),
        (samples, {"histtype": "step", "edgecolor": MODEL, "linewidth": 1.4}),
    ):
        inside = np.full(len(values), 1 / len(values) / (edges[1] - edges[0]))  # rows outside count in the total
        axes.hist(values, bins=edges.tolist(), weights=inside, **style)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _draw_pair(axes: "Axes", data: Floats, samples: Floats, limits: Limits) -> None:
    cells = _cells(min(len(data), len(samples)))
    edges = [_beyond(limit, cells) for limit in limits]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    dots = thinned(data)
    axes.plot(dots[:, 0], dots[:, 1], ".", color=DATA, markersize=1.8, alpha=0.6, markeredgewidth=0, zorder=0)
    density = smoothed_histogram(data, edges).T
    axes.contourf(*middles, density, levels=[*density_levels(density, SIGMAS), np.inf], colors=DATA_SHADES)
    density = smoothed_histogram(samples, edges).T
    if density.any():  # samples of a bad fit may all lie elsewhere
        axes.contour(*middles, density, levels=density_levels(density, SIGMAS), colors=MODEL, linewidths=[1.0, 1.4])


def _beyond(limits: tuple[float, float], cells: int, more: int = 4) -> Floats:
    """Edges of cells over an axis and a few beyond, so that contours leave the panel instead of ending in it."""
    width = (limits[1] - limits[0]) / cells
    return np.linspace(limits[0] - more * width, limits[1] + more * width, cells + 2 * more + 1)


def _label_edges(axes: "Axes", names: Sequence[str], row: int, column: int) -> None:
    """Numbers and names only along the left and the bottom of the triangle."""
    axes.tick_params(labelbottom=row == len(names) - 1, labelleft=column == 0)
    if row == len(names) - 1:
        axes.set_xlabel(names[column])
    if column == 0 and row > 0:
        axes.set_ylabel(names[row])


def _corner_legend(figure: "Figure", labels: tuple[str, str], inside: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=DATA_SHADES[1], edgecolor=DATA, label=labels[0]),
        Line2D([], [], color=MODEL, label=labels[1]),
    ]
    figure.legend(
        handles=handles,
        loc="upper right" if inside else "outside upper right",
        frameon=False,
        fontsize=10,
        labelcolor=INK,
    )


def _draw_density(
    figure: "Figure | SubFigure",
    axes: "Axes",
    log_density: Callable[[Floats], ArrayLike],
    limits: Limits,
    resolution: int,
) -> None:
    filled, levels = density_panel(axes, log_density, limits, resolution)
    bar = figure.colorbar(filled, ax=axes, spacing="uniform", ticks=levels, pad=0.02, drawedges=False)
    bar.ax.set_yticklabels([f"{mass:.0%}" for mass in REGIONS])
    bar.ax.tick_params(labelsize=7.5, length=0, colors=INK)
    bar.outline.set_visible(False)
    bar.set_label("probability inside", fontsize=8, color=INK)


def _draw_rows(axes: "Axes", rows: dict[str, Floats]) -> None:
    looks: dict[str, dict[str, Any]] = {
        "data": {"color": DATA_SHADES[1], "markersize": 5.0},
        "samples": {"color": MODEL, "markersize": 2.6, "alpha": 0.8},
    }
    for name, look in looks.items():
        if name in rows:
            dots = thinned(rows[name])
            axes.plot(dots[:, 0], dots[:, 1], ".", markeredgewidth=0, label=name, **look)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8, labelcolor=INK, markerscale=2
    )


def _draw_conditional(axes: "Axes", grid: Floats, density: Floats, truth: float) -> None:
    (level,) = density_levels(density, (0.68,))
    axes.fill_between(grid, density, color=MODEL_SHADES[1], linewidth=0, label="density")
    axes.fill_between(grid, density, where=density >= level, color=MODEL_SHADES[2], linewidth=0, label="densest 68%")
    axes.plot(grid, density, color=MODEL, linewidth=1.3)
    axes.axvline(truth, color=TRUTH, linewidth=1.4, label="true value")
    axes.set_ylim(0, 1.08 * density.max())
    axes.margins(x=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _mark_best(axes: "Axes", history: "History") -> None:
    best = history.best_epoch or 0
    value = (history.validation or history.train)[best]
    axes.axvline(best + 1, color=TRUTH, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot(best + 1, value, "o", color=TRUTH, markersize=5, label=f"kept: epoch {best + 1}, {value:.3f}")
