"""What a flow makes of data: their place in base space, and what it draws beside them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ShapeError
from densiflow.judge.points import MOST_DOTS, checked_rows, colour_wheel
from densiflow.judge.regions import density_levels, plot_limits
from densiflow.judge.style import DATA, INK, MODEL, new_figure, tidy, title_at_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from densiflow.flow import Flow

Floats = NDArray[Any]
Limits = tuple[tuple[float, float], tuple[float, float]]

HELD = (0.99, 0.9, 0.5)  # of the base, inside each line
RESOLUTION = 200


def latent_space(
    flow: "Flow",
    x: ArrayLike,
    names: Sequence[str],
    context: ArrayLike | None = None,
    *,
    figure: "Figure | SubFigure | None" = None,
) -> Any:
    """Draw data of two columns, and beside it where the flow takes them in base space, on the base's contours.

    A point has one colour in both panels. The lines hold 50%, 90% and 99% of the base: where the flow is right,
    they hold these shares of the points, printed beside each, and no colour leaves a hole. More columns are
    pictured by `corner`, of ``flow.to_base(x)`` beside rows drawn from the base.

    Shapes: ``x`` (n, 2), ``context`` (n, c), ``names`` (2,). Raises `ShapeError` for another width, `TableError` for
    a cell that is not finite, `ContextError` for a context that does not fit.

    >>> import jax
    >>> from densiflow import recipes
    >>> flow = recipes.maf(jax.random.key(0), dim=2, layers=1, hidden=(8,))
    >>> figure = latent_space(flow, np.random.default_rng(0).normal(size=(200, 2)), ["a", "b"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['data space', 'base space']
    """
    if len(names) != 2:
        raise ShapeError(f"names must name the 2 columns, got {len(names)}")
    x = checked_rows(x, "x", 2)
    z = checked_rows(np.asarray(flow.to_base(x, context)[0]), "z", 2)
    order = np.random.default_rng(0).permutation(len(z))[:MOST_DOTS]  # so that no colour lies over the others
    colours = colour_wheel(z[order])
    figure = figure or new_figure((8.6, 4.5))
    left, right = figure.subplots(1, 2)
    left.scatter(x[order, 0], x[order, 1], s=4.0, c=colours, linewidths=0)
    right.scatter(z[order, 0], z[order, 1], s=4.0, c=colours, linewidths=0)
    _set_axes(left, "data space", (plot_limits(x[:, 0]), plot_limits(x[:, 1])), names)
    seen = np.concatenate([z, _base_rows(flow, 1000, context)])
    limits = (plot_limits(seen[:, 0], 0.998), plot_limits(seen[:, 1], 0.998))
    _set_axes(right, "base space", limits, ["z₁", "z₂"])
    if not flow.base.context_dim:
        _draw_base(right, flow, z, limits)
    return figure


def data_beside_model(
    data: ArrayLike,
    samples: ArrayLike,
    names: Sequence[str],
    *,
    labels: tuple[str, str] = ("data", "model"),
    figure: "Figure | SubFigure | None" = None,
) -> Any:
    """Draw data of two columns and samples of a model side by side: as many dots, on the same axes.

    Shapes: ``data`` (n, 2), ``samples`` (m, 2), ``names`` (2,). Raises `ShapeError` for other widths, `TableError`
    for a cell that is not finite.

    >>> rng = np.random.default_rng(0)
    >>> figure = data_beside_model(rng.normal(size=(90, 2)), rng.normal(size=(100, 2)), ["a", "b"])
    >>> [len(axes.lines[0].get_xdata()) for axes in figure.axes]
    [90, 90]
    """
    if len(names) != 2:
        raise ShapeError(f"names must name the 2 columns, got {len(names)}")
    data, samples = checked_rows(data, "data", 2), checked_rows(samples, "samples", 2)
    limits = (plot_limits(data[:, 0]), plot_limits(data[:, 1]))
    count = min(len(data), len(samples), MOST_DOTS)
    figure = figure or new_figure((8.6, 4.5))
    panels = figure.subplots(1, 2)
    for axes, rows, label, colour in zip(panels, (data, samples), labels, (DATA, MODEL), strict=True):
        dots = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
        axes.plot(dots[:, 0], dots[:, 1], ".", color=colour, markersize=2.6, markeredgewidth=0)
        _set_axes(axes, label, limits, names)
    return figure


def _base_rows(flow: "Flow", n: int, context: ArrayLike | None) -> Floats:
    """Rows of base space that the flow draws, about n: for each row of a context its own."""
    import jax

    each = n if context is None or np.ndim(context) == 1 else 1
    drawn = flow.sample(jax.random.key(0), each, context)
    return np.asarray(flow.to_base(drawn, context)[0], np.float64).reshape(-1, flow.dim)


def _draw_base(axes: "Axes", flow: "Flow", z: Floats, limits: Limits) -> None:
    """Lines that hold shares of the base inside the limits, and the share of the points inside each."""
    import jax
    import jax.numpy as jnp

    first, second = (np.linspace(*limit, RESOLUTION) for limit in limits)
    grid = np.stack(np.meshgrid(first, second), axis=-1)  # (second, first, 2)

    def density_at(points: Floats) -> Floats:
        return np.exp(np.asarray(jax.vmap(flow.base.log_prob)(jnp.asarray(points, flow.dtype)), np.float64))

    density = density_at(grid.reshape(-1, 2)).reshape(RESOLUTION, RESOLUTION)
    levels = density_levels(density, HELD)
    lines = axes.contour(first, second, density, levels=levels, colors=INK, linewidths=0.9)
    shares = {level: f"{held:.0%}" for level, held in zip(levels, HELD, strict=True)}
    axes.clabel(lines, fmt=shares, fontsize=7)
    inside = [f"{np.mean(density_at(z) >= level):.0%}" for level in levels]
    axes.set_title(f"points inside: {', '.join(inside[::-1])}", loc="right", fontsize=8, color=INK)


def _set_axes(axes: "Axes", title: str, limits: Limits, names: Sequence[str]) -> None:
    tidy(axes)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=names[0], ylabel=names[1])
    axes.set_box_aspect(1)
    title_at_left(axes, title)
