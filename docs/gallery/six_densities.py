"""Every recipe on six densities of two columns: what each draws, and how likely it finds rows held out.

Writes ``six_densities.png`` and the table ``six_densities.md``. Each fit has the same budget of steps and small
networks, so the table compares kinds of flow at a price, not the best that each can do. ``--recipes`` and
``--densities`` fit some of them only, and print without writing.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from densities import DENSITIES, Density, smallest_share_of_eight
from matplotlib.figure import Figure

from densiflow import Flow, training
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import INK, new_figure
from densiflow.recipes import DECLARATIONS, RECIPES

HERE = Path(__file__).parent
NETWORK = {"hidden": (64, 64), "activation": "relu"}
SETTINGS: dict[str, dict] = {  # beside NETWORK, where the defaults do a recipe no justice in two columns
    "iaf": {"layers": 8},
    "maf": {"layers": 8},
    "nice": {"layers": 8, "start": "random"},
    "planar": {"layers": 32, "start": "random"},
}
TRAIN, HELD, BATCH = 20_480, 10_000, 512
EPOCHS = 75  # of 40 steps
LEARNING_RATE = 2e-3
EIGHT = "eight Gaussians"


def untrained(name: str) -> Flow:
    """Make the recipe's flow of two columns."""
    return RECIPES[name](jax.random.key(0), dim=2, **(NETWORK | SETTINGS.get(name, {})))


def fitted(name: str, density: Density) -> tuple[Flow, float]:
    """Fit the recipe to a density; gives the flow and the mean log-likelihood of rows held out, nats."""
    rng = np.random.default_rng(0)
    x, held = density.sample(rng, TRAIN), density.sample(rng, HELD)
    flow, _ = training.fit(
        untrained(name),
        jax.random.key(1),
        x,
        validation=0,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
    )
    return flow, float(np.mean(np.asarray(flow.log_prob(held), np.float64)))


def share(flow: Flow) -> float:
    """The smallest share of 10,000 samples that one of the eight modes receives, a fair one counted as 1."""
    return smallest_share_of_eight(np.asarray(flow.sample(jax.random.key(2), 10_000), np.float64))


def picture(flows: dict[tuple[str, str], Flow], recipes: Sequence[str], names: Sequence[str]) -> Figure:
    """Draw a row for the exact densities and one for each recipe."""
    figure = new_figure((1.17 * len(names) + 0.5, 1.15 * (len(recipes) + 1) + 0.3))
    panels = figure.subplots(len(recipes) + 1, len(names), squeeze=False)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    for row, recipe in zip(panels, ["exact density", *recipes], strict=True):
        for axes, name in zip(row, names, strict=True):
            flow = flows.get((recipe, name))
            density = DENSITIES[name]
            density_panel(axes, density.log_density if flow is None else flow.log_prob, density.limits, 160)
            axes.set(xticks=[], yticks=[])
            axes.set_box_aspect(1)
            axes.spines[:].set(color="#d5d9de", linewidth=0.6)
        row[0].set_ylabel(recipe, fontsize=8, color=INK)
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize=8, color=INK)
    return figure


def layers_given() -> str:
    """Say which recipes have another number of layers than by default."""
    given = [f"{given['layers']} in `{name}`" for name, given in SETTINGS.items()]
    return f"{', '.join(given[:-1])} and {given[-1]}"


def table(nats: dict[tuple[str, str], float], shares: dict[str, float]) -> str:
    """Give the table in Markdown."""
    names, recipes = list(DENSITIES), list(RECIPES)
    lines = [
        "# Ten recipes on six densities",
        "",
        f"Mean log-likelihood of {HELD:,} held-out rows in nats (the higher the better; none can pass the exact "
        f"density but by chance), after {EPOCHS * (TRAIN // BATCH):,} steps of {BATCH} rows with hidden layers of "
        f"{NETWORK['hidden'][0]} units. Layers are the recipes' own number, but {layers_given()}. Made by "
        "`python docs/gallery/six_densities.py`.",
        "",
        "The first row is minus the true entropy: closed form for the checkerboard (log 32), elsewhere the mean of the "
        "exact log density over 100,000 rows, with its standard error. The last column is the smallest share of 10,000 "
        "samples that one of the eight Gaussians receives, where 1 is a fair share.",
        "",
        "| | " + " | ".join(names) + " | smallest share of the eight |",
        "|---" * (len(names) + 2) + "|",
    ]
    exact = []
    for name in names:
        entropy, error = DENSITIES[name].entropy()
        exact.append(f"{-entropy:.3f}" + (f" ± {error:.3f}" if error else ""))
    lines.append("| exact density | " + " | ".join(exact) + " | |")
    for recipe in recipes:
        kind = "" if DECLARATIONS[recipe].universal else " (not universal)"
        cells = [f"{nats[recipe, name]:.3f}" for name in names]
        lines.append(f"| `{recipe}`{kind} | " + " | ".join(cells) + f" | {shares[recipe]:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--densities", nargs="+", choices=list(DENSITIES), default=list(DENSITIES))
    chosen = parser.parse_args()
    flows, nats, shares = {}, {}, {}
    for name in chosen.densities:
        for recipe in chosen.recipes:
            started = time.monotonic()
            flows[recipe, name], nats[recipe, name] = fitted(recipe, DENSITIES[name])
            line = f"{name:<16} {recipe:<16} {nats[recipe, name]:7.3f} nats, {time.monotonic() - started:5.1f} s"
            if name == EIGHT:
                shares[recipe] = share(flows[recipe, name])
                line += f", smallest share of a mode {shares[recipe]:.2f}"
            print(line, flush=True)
    if len(flows) == len(RECIPES) * len(DENSITIES):
        save_figure(picture(flows, chosen.recipes, chosen.densities), HERE / "six_densities.png")
        (HERE / "six_densities.md").write_text(table(nats, shares))


if __name__ == "__main__":
    main()
