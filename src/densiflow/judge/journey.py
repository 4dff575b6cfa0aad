"""The journey of points from base space to data, layer by layer: numbers, a picture, and an animation."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.arguments import check_offered
from densiflow.atomic import written_whole
from densiflow.errors import ArgumentError, ShapeError
from densiflow.judge.points import colour_wheel, thinned
from densiflow.judge.regions import plot_limits
from densiflow.judge.style import INK, new_figure, tidy, title_at_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from densiflow.flow import Flow

Floats = NDArray[Any]
Limits = tuple[tuple[float, float], tuple[float, float]]
ColumnOrder = Literal["own", "data"]

MOST_PANELS = 6  # beside each other
MOST_MOVING = 1500  # dots of an animation, whose file holds them once a frame
FRAMES_A_SECOND = 20
GIF_DPI = 90


def journey(
    flow: "Flow", z: ArrayLike, context: ArrayLike | None = None, *, column_order: ColumnOrder = "own"
) -> Floats:
    r"""Where rows of base space are after each layer of a flow.

    .. math:: x^{(0)} = z, \qquad x^{(t)} = f_t^{-1}(x^{(t-1)}; c), \qquad x^{(T)} = x

    The members of a `Chain` and the layers of a `Stack` are a step each, also inside an `Inverse`. Reorderings of
    columns belong to the layer that they prepare for, and the flow's scaling to the last step. With
    ``column_order="data"`` every column stands where it ends in the data, so that reorderings turn no picture over;
    the first entry is then z reordered.

    Shapes: ``z`` (n, dim), ``context`` (n, c), or (c,) for all of them; returns (steps + 1, n, dim), the first z
    itself and the last ``flow.to_data(z)``. Start from data by ``flow.to_base(x)``. Raises `ArgumentError` for
    another column order, `ShapeError` or `ContextError` for rows that don't fit the flow.

    Source: Papamakarios et al. 2021, "Normalizing flows for probabilistic modeling and inference", figure 1.

    >>> import jax
    >>> from densiflow import recipes
    >>> flow = recipes.maf(jax.random.key(0), dim=2, layers=4, hidden=(8,), start="random")
    >>> journey(flow, np.zeros((10, 2))).shape
    (5, 10, 2)
    """
    from densiflow.judge import steps  # loads JAX

    check_offered("column_order", column_order, ColumnOrder)
    if np.ndim(z) != 2:
        raise ShapeError(f"z must have shape (rows, {flow.dim}), got {np.shape(z)}")
    along = np.asarray(steps.positions(flow, z, context))
    if column_order == "data":
        along = np.take_along_axis(along, steps.column_orders(flow.bijection)[:, None], axis=-1)
    return along


def journey_panels(
    positions: ArrayLike, names: Sequence[str], *, titles: Sequence[str] | None = None, limits: Limits | None = None
) -> "Figure":
    """Draw a journey in two columns, a panel a step; a point keeps the colour of where it started.

    Each panel has axes of its own, which hold the central 99% of its points, unless all get the same limits.

    Shapes: ``positions`` (steps + 1, n, 2), as from `journey`; ``names`` (2,); ``titles`` (steps + 1,); ``limits``
    ``((x low, x high), (y low, y high))``. Raises `ShapeError` where these do not fit each other.

    >>> start = np.random.default_rng(0).normal(size=(100, 2))
    >>> figure = journey_panels([start, 2 * start], ["a", "b"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['base space', 'data space']
    """
    positions = _checked(positions, names, titles)
    titles = _titles(len(positions)) if titles is None else titles
    across = min(len(positions), MOST_PANELS)
    down = -(-len(positions) // across)
    across = -(-len(positions) // down)
    figure = new_figure((0.5 + 2.3 * across, 0.4 + 2.4 * down))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[len(positions) :]:
        axes.remove()
    colours = colour_wheel(positions[0])
    for axes, points, title in zip(panels, positions, titles, strict=False):
        _set_axes(axes, limits or _limits_of(points), names)
        axes.scatter(points[:, 0], points[:, 1], s=3.0, c=colours, linewidths=0)
        title_at_left(axes, title)
        if limits is not None:
            axes.label_outer()
    return figure


def save_journey(
    positions: ArrayLike,
    path: str | os.PathLike[str],
    names: Sequence[str],
    *,
    titles: Sequence[str] | None = None,
    limits: Limits | None = None,
    frames: int = 14,
) -> None:
    """Write a journey in two columns as an animated GIF, whole or not at all, with no clock in the file.

    Points glide from step to step and rest at each; at most 1500 are drawn. One journey gives one file.

    Shapes: as in `journey_panels`; without ``limits`` the axes hold the central 99% of all positions. ``frames`` are
    those of a step's way. Raises `ShapeError` where shapes do not fit each other, `ArgumentError` for a name that
    does not end in .gif, `OutputPathError` for a path that can't be written.
    """
    from matplotlib.animation import PillowWriter

    if not os.fspath(path).lower().endswith(".gif"):
        raise ArgumentError(f"animations are written as GIF: give a name that ends in .gif, got {path}")
    positions = _checked(positions, names, titles)
    titles = _titles(len(positions)) if titles is None else titles
    positions = np.stack([thinned(points, MOST_MOVING) for points in positions])
    figure = new_figure((4.0, 4.2))
    axes = figure.add_subplot()
    _set_axes(axes, limits or _limits_of(positions.reshape(-1, 2)), names)
    dots = axes.scatter(positions[0, :, 0], positions[0, :, 1], s=5.0, c=colour_wheel(positions[0]), linewidths=0)
    title_at_left(axes, titles[0])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # as laid out once: axes must not tremble
    writer = PillowWriter(fps=FRAMES_A_SECOND)
    with written_whole(path) as part, writer.saving(figure, os.fspath(part), GIF_DPI):
        for points, title in _frames(positions, titles, frames):
            dots.set_offsets(points)
            title_at_left(axes, title)
            writer.grab_frame(facecolor="white")


def _frames(positions: Floats, titles: Sequence[str], frames: int) -> Iterator[tuple[Floats, str]]:
    """Points and title of each frame: a rest at every step, and a smooth way from each to the next."""
    ways = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, frames) / frames)
    for step, (points, title) in enumerate(zip(positions, titles, strict=True)):
        for _ in range(frames):
            yield points, title
        if step + 1 < len(positions):
            for way in ways:
                yield (1 - way) * points + way * positions[step + 1], f"{title} \N{RIGHTWARDS ARROW} {titles[step + 1]}"


def _checked(positions: ArrayLike, names: Sequence[str], titles: Sequence[str] | None) -> Floats:
    along = np.asarray(positions, np.float64)
    if along.ndim != 3 or along.shape[-1] != 2 or not along.size:
        raise ShapeError(f"positions must have shape (steps + 1, rows, 2), none of them 0, got {along.shape}")
    if len(names) != 2:
        raise ShapeError(f"names must name the 2 columns, got {len(names)}")
    if titles is not None and len(titles) != len(along):
        raise ShapeError(f"one title a step and one for the start, got {len(titles)} for {len(along)}")
    return along


def _titles(count: int) -> list[str]:
    return ["base space", *(f"after layer {step}" for step in range(1, count - 1)), "data space"][:count]


def _limits_of(points: Floats) -> Limits:
    return plot_limits(points[:, 0]), plot_limits(points[:, 1])


def _set_axes(axes: "Axes", limits: Limits, names: Sequence[str]) -> None:
    tidy(axes)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=names[0], ylabel=names[1])
    axes.set_box_aspect(1)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
