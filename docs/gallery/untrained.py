"""Untrained masked autoregressive flows: what plain random weights draw, with relu and with sigmoid.

Each flow has two hidden layers of 32 units a MADE layer, a standard normal base and ``start="random"``.
"""

from pathlib import Path

import jax
from matplotlib.figure import Figure

from densiflow import Flow, recipes
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import new_figure, tidy, title_at_left

LAYERS = (1, 2, 4, 8)
LIMITS = ((-4.5, 4.5), (-4.5, 4.5))


def untrained(layers: int, activation: str) -> Flow:
    """Make the flow as its network is initialised."""
    key = jax.random.key(3)
    return recipes.maf(key, dim=2, layers=layers, hidden=(32, 32), activation=activation, start="random")


def picture() -> Figure:
    """Draw a row for each activation, a column for each number of layers."""
    figure = new_figure((10.4, 5.6))
    panels = figure.subplots(2, len(LAYERS), sharex=True, sharey=True)
    for row, activation in zip(panels, ("relu", "sigmoid"), strict=True):
        for axes, layers in zip(row, LAYERS, strict=True):
            tidy(axes)
            density_panel(axes, untrained(layers, activation).log_prob, LIMITS, 240)
            axes.set_box_aspect(1)
            title_at_left(axes, f"{activation}, {layers} layer{'s' if layers > 1 else ''}")
    figure.supxlabel("x₁", fontsize=9)
    figure.supylabel("x₂", fontsize=9)
    return figure


def main() -> None:
    save_figure(picture(), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
