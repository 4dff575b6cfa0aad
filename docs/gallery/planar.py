"""Planar flows: ten random layers on a normal and on a uniform base, and planar flows fitted to data.

A planar layer is closed from base to data only. Here the other direction is a search for one root, so that the
density of any row is known: the first picture is drawn without a sample, and the second is of maximum likelihood.
"""

from pathlib import Path

import jax
import numpy as np
from densities import DENSITIES
from matplotlib.figure import Figure

from densiflow import Flow, bases, recipes, training
from densiflow.bases.base import Base
from densiflow.bijections import Chain, Planar
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import new_figure, tidy, title_at_left

HERE = Path(__file__).parent
AFTER = (0, 1, 2, 5, 10)
BASES = {"normal base": bases.Normal(2), "uniform base": bases.Uniform([-2.0, -2.0], [2.0, 2.0])}
LIMITS = ((-7.0, 7.0), (-7.0, 7.0))
FITTED = ("two moons", "eight Gaussians", "pinwheel")


def layers(count: int, seed: int = 3) -> list[Planar]:
    """Make planar layers with random numbers, listed from data to base."""
    return [Planar(key, 2, start="random") for key in jax.random.split(jax.random.key(seed), count)]


def after(base: Base, count: int) -> Flow:
    """Make the flow of the first so many of ten layers, counted from the base."""
    ten = layers(AFTER[-1])
    if count == 0:
        return Flow(Chain([Planar(jax.random.key(0), 2)]), base)  # an untrained layer moves nothing
    return Flow(Chain(ten[-count:]), base)


def random_layers() -> Figure:
    """Draw a row for each base, a column for each number of layers."""
    figure = new_figure((12.2, 5.4))
    panels = figure.subplots(len(BASES), len(AFTER), sharex=True, sharey=True)
    for row, (name, base) in zip(panels, BASES.items(), strict=True):
        for axes, count in zip(row, AFTER, strict=True):
            tidy(axes)
            density_panel(axes, after(base, count).log_prob, LIMITS, 300)
            axes.set_box_aspect(1)
            title_at_left(axes, f"{count} layer{'s' if count > 1 else ''}" if count else name)
    return figure


def fitted(name: str, count: int = 32, epochs: int = 60) -> tuple[Flow, float]:
    """Fit planar layers to 20,000 rows; gives the flow and its mean log-likelihood of 10,000 others."""
    rng = np.random.default_rng(0)
    x, held = DENSITIES[name].sample(rng, 20_000), DENSITIES[name].sample(rng, 10_000)
    flow = recipes.planar(jax.random.key(0), dim=2, layers=count, start="random")
    flow, _ = training.fit(
        flow, jax.random.key(1), x, validation=0, max_epochs=epochs, batch_size=512, learning_rate=5e-3
    )
    return flow, float(np.mean(flow.log_prob(held)))


def fits() -> Figure:
    """Draw exact densities above and planar flows below."""
    figure = new_figure((9.6, 6.4))
    panels = figure.subplots(2, len(FITTED))
    for (top, below), name in zip(panels.T, FITTED, strict=True):
        density = DENSITIES[name]
        flow, nats = fitted(name)
        entropy, _ = density.entropy()
        print(f"{name}: {nats:.3f} nats a held-out row by 32 planar layers, exact density {-entropy:.3f}")
        for axes, log_density in ((top, density.log_density), (below, flow.log_prob)):
            tidy(axes)
            density_panel(axes, log_density, density.limits, 240)
            axes.set_box_aspect(1)
        title_at_left(top, f"{name}: exact, {-entropy:.2f} nats")
        title_at_left(below, f"32 planar layers, {nats:.2f} nats")
    return figure


def main() -> None:
    save_figure(random_layers(), HERE / "planar.png")
    save_figure(fits(), HERE / "planar_fits.png")


if __name__ == "__main__":
    main()
