"""MADE by itself and its mixture form, on rows whose second column has two modes given the first."""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm

from densiflow import Flow, recipes, training
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import DATA, MODEL, TRUTH, new_figure, tidy, title_at_left

HERE = Path(__file__).parent
LIMITS = ((-2.6, 2.6), (-2.6, 2.6))
NOISE = 0.25
GIVEN = (-1.5, 0.0, 1.5)
Floats = NDArray[np.float64]


def branches(first: Floats) -> tuple[Floats, Floats]:
    """The two middles of the second column, given the first."""
    return 0.9 + 0.5 * np.sin(2 * first), -0.9 + 0.5 * np.sin(2 * first)


def rows(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    second = np.where(rng.uniform(size=n) < 0.6, *branches(first)) + NOISE * rng.normal(size=n)
    return np.stack([first, second], axis=1)


def exact_log_density(x: Floats) -> Floats:
    upper, lower = branches(x[:, 0])
    given = 0.6 * norm.pdf(x[:, 1], upper, NOISE) + 0.4 * norm.pdf(x[:, 1], lower, NOISE)
    return norm.logpdf(x[:, 0]) + np.log(np.maximum(given, 1e-300))


def fitted(flow: Flow, x: Floats) -> Flow:
    return training.fit(flow, jax.random.key(1), x, validation=0, max_epochs=30, batch_size=256, learning_rate=2e-3)[0]


def picture(flows: dict[str, Flow], held: Floats) -> Figure:
    """Draw joint densities above, and below the second column's density given three values of the first."""
    densities = {"exact density": exact_log_density} | {name: flow.log_prob for name, flow in flows.items()}
    figure = new_figure((9.8, 6.6))
    panels = figure.subplots(2, 3)
    for axes, (name, log_density) in zip(panels[0], densities.items(), strict=True):
        nats = np.mean(log_density(held))
        print(f"{name}: {nats:.3f} nats a held-out row")
        tidy(axes)
        density_panel(axes, log_density, LIMITS, 240)
        axes.set(xlabel="x₁", ylabel="x₂")
        axes.set_box_aspect(1)
        title_at_left(axes, f"{name}, {nats:.2f} nats")
    grid = np.linspace(-2.6, 2.6, 400)
    looks = dict(zip(densities, ((TRUTH, 2.0, "--"), (DATA, 1.6, "-"), (MODEL, 1.6, "-")), strict=True))
    for axes, value in zip(panels[1], GIVEN, strict=True):
        tidy(axes)
        points = np.stack([np.full_like(grid, value), grid], axis=1)
        for name, log_density in reversed(densities.items()):
            joint = np.exp(np.asarray(log_density(points), np.float64))
            colour, width, style = looks[name]
            axes.plot(grid, joint / joint.sum() / (grid[1] - grid[0]), style, color=colour, linewidth=width, label=name)
        axes.set(xlabel="x₂", ylabel="density", ylim=(0, None))
        title_at_left(axes, f"x₂ given x₁ = {value:g}")
    panels[1, 0].legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    x, held = rows(10_000, seed=0), rows(10_000, seed=1)
    key = jax.random.key(0)
    flows = {
        "MADE": fitted(recipes.made(key, dim=2, hidden=(64, 64), activation="tanh"), x),
        "MADE, 4 components": fitted(recipes.made_mog(key, dim=2, components=4, hidden=(64, 64), activation="tanh"), x),
    }
    save_figure(picture(flows, held), HERE / "made.png")


if __name__ == "__main__":
    main()
