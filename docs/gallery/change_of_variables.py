"""The change of variables in pictures: a uniform number stretched and bent, and a square made a parallelogram."""

from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from densiflow import Flow, bases, bijections
from densiflow.judge import save_figure
from densiflow.judge.style import DATA_SHADES, INK, MODEL, MODEL_SHADES, new_figure, tidy, title_at_left

UNIFORM = bases.Uniform([0.0], [2.0])
SQUARE = bases.Uniform([0.0, 0.0], [1.0, 1.0])
MATRIX = np.array([[2.0, 1.0], [0.5, 1.5]])
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
CASES = {
    "Z uniform on [0, 2], density 1/2": Flow(bijections.Elementwise([0.0], [1.0]), UNIFORM),
    "X = 4 Z, density 1/8": Flow(bijections.Elementwise([0.0], [4.0]), UNIFORM),
    "X = exp(Z), density 1 / (2x)": Flow(bijections.Exp(), UNIFORM),
}


def line(axes: Axes, flow: Flow, name: str) -> None:
    """Draw one density of one variable."""
    x = np.linspace(0.0, 8.6, 2001)[1:]
    density = np.exp(np.asarray(flow.log_prob(x[:, None])))
    axes.fill_between(x, density, color=MODEL_SHADES[1], linewidth=0)
    axes.plot(x, density, color=MODEL, linewidth=1.4)
    axes.set(xlim=(-0.2, 8.6), ylim=(0, 0.56))
    title_at_left(axes, name)


def cells(axes: Axes) -> None:
    """Draw the unit square and its image, with the same rows in both."""
    flow = Flow(bijections.Linear(MATRIX), SQUARE)
    z = jax.vmap(SQUARE.sample)(jax.random.split(jax.random.key(0), 400))
    before, after = (CORNERS, z), (flow.to_data(CORNERS)[0], flow.to_data(z)[0])
    for (corners, rows), colour, shade in ((before, INK, DATA_SHADES[0]), (after, MODEL, MODEL_SHADES[1])):
        axes.add_patch(Polygon(np.asarray(corners), facecolor=shade, edgecolor=colour, linewidth=1.2, alpha=0.8))
        axes.plot(*np.asarray(rows).T, ".", color=colour, markersize=2, markeredgewidth=0)
    axes.set(xlim=(-0.2, 3.3), ylim=(-0.2, 2.3), aspect="equal")
    title_at_left(axes, "X = A Z: the area 1 becomes det A = 2.5")


def picture() -> Figure:
    figure = new_figure((10.4, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.0))
    rows = left.subplots(len(CASES), sharex=True)
    for axes, (name, flow) in zip(rows, CASES.items(), strict=True):
        tidy(axes)
        line(axes, flow, name)
    axes = right.subplots()
    tidy(axes)
    cells(axes)
    left.supylabel("density", fontsize=9, color=INK)
    left.supxlabel("z, x", fontsize=9, color=INK)
    right.supxlabel("z₁, x₁", fontsize=9, color=INK)
    right.supylabel("z₂, x₂", fontsize=9, color=INK)
    return figure


def main() -> None:
    save_figure(picture(), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
