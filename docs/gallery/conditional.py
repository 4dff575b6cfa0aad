"""One column given one: an affine MAF of any depth stays normal given its context; spline and mixture maps do not.

Then two columns given a class: two moons, one at a time.
"""

from collections.abc import Callable
from pathlib import Path

import densities
import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm

from densiflow import recipes, training
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import DATA, MODEL, TRUTH, new_figure, tidy, title_at_left

HERE = Path(__file__).parent
GIVEN = (-1.5, 0.0, 1.5)
LIMITS = ((-2.0, 2.0), (-3.0, 3.0))  # of the context and of the column
FIT = {"validation": 0, "max_epochs": 40, "batch_size": 256, "learning_rate": 2e-3}
Floats = NDArray[np.float64]
LogDensity = Callable[[Floats, Floats], Floats]  # of rows (n, 1) given contexts (n, 1): (n,)


def modes(context: Floats) -> tuple[Floats, Floats]:
    """The two middles of the column; they part as the context rises."""
    apart = 1.4 / (1 + np.exp(-2.5 * context))
    return 0.4 * context + apart, 0.4 * context - apart


def rows(n: int, seed: int) -> tuple[Floats, Floats]:
    """Rows (n, 1) and their contexts (n, 1)."""
    rng = np.random.default_rng(seed)
    context = rng.uniform(-2, 2, (n, 1))
    x = np.where(rng.uniform(size=(n, 1)) < 0.65, *modes(context)) + 0.3 * rng.normal(size=(n, 1))
    return x, context


def exact_log_density(x: Floats, context: Floats) -> Floats:
    upper, lower = modes(context)
    return np.log(0.65 * norm.pdf(x, upper, 0.3) + 0.35 * norm.pdf(x, lower, 0.3))[:, 0]


def bend(log_density: LogDensity) -> float:
    """How far log p(x given c) is from the best parabola in x, as a normal would be: the largest residual, nats."""
    x = np.linspace(-2, 2, 81)
    residuals = []
    for value in GIVEN:
        nats = np.asarray(log_density(x[:, None], np.full((81, 1), value)), np.float64)
        residuals.append(np.abs(np.polyval(np.polyfit(x, nats, 2), x) - nats).max())
    return max(residuals)


def one_given_one() -> Figure:
    """Draw p(x given c) over both above, and for three values of c below."""
    (x, context), held = rows(10_000, seed=0), rows(10_000, seed=1)
    key, options = jax.random.key(0), {"hidden": (64, 64), "activation": "tanh"}
    flows = {
        "affine, 5 layers": recipes.maf(key, 1, 1, layers=5, **options),
        "spline, 2 layers": recipes.neural_spline(key, 1, 1, layers=2, **options),
        "mixture, 1 layer": recipes.made_mog(key, 1, 1, components=4, **options),
    }
    known: dict[str, LogDensity] = {"exact density": exact_log_density}
    for name, flow in flows.items():
        known[name] = training.fit(flow, jax.random.key(1), x, context, **FIT)[0].log_prob
    figure = new_figure((11.6, 6.2))
    above, below = figure.subfigures(2, 1)
    for axes, (name, log_density) in zip(above.subplots(1, 4, sharey=True), known.items(), strict=True):
        nats = np.mean(log_density(*held))
        print(f"{name}: {nats:.3f} nats a held-out row, {bend(log_density):.1e} nats from a parabola")
        tidy(axes)
        density_panel(axes, lambda p, log_density=log_density: log_density(p[:, 1:], p[:, :1]), LIMITS, 240)
        axes.set(xlabel="c", ylabel="x")
        axes.label_outer()
        title_at_left(axes, f"{name}, {nats:.2f} nats")
    draw_slices(below, known)
    return figure


def draw_slices(figure: Figure, known: dict[str, LogDensity]) -> None:
    """The column's density at three values of the context."""
    x = np.linspace(*LIMITS[1], 400)
    looks = ((TRUTH, 2.2, "--"), (DATA, 1.6, "-"), (MODEL, 1.6, "-"), ("#009e73", 1.6, "-."))
    for axes, value in zip(figure.subplots(1, len(GIVEN)), GIVEN, strict=True):
        tidy(axes)
        for (name, log_density), (colour, width, style) in zip(known.items(), looks, strict=True):
            density = np.exp(np.asarray(log_density(x[:, None], np.full((len(x), 1), value)), np.float64))
            axes.plot(x, density, style, color=colour, linewidth=width, label=name)
        axes.set(xlabel="x", ylabel="density", ylim=(0, None))
        title_at_left(axes, f"x given c = {value:g}")
    figure.axes[-1].legend(frameon=False, fontsize=8)


def two_given_a_class() -> Figure:
    """Draw each moon as it is, and as the flow has it given the class, with samples."""
    rng = np.random.default_rng(0)
    x, which = densities.sample_labelled_moons(rng, 10_000)
    held, held_which = densities.sample_labelled_moons(rng, 10_000)
    classes = np.eye(2)
    flow = recipes.maf(jax.random.key(0), 2, 2, layers=4, hidden=(64, 64))
    flow, _ = training.fit(flow, jax.random.key(1), x, classes[which], **FIT)
    exact = np.where(held_which == 0, *(densities.log_density_of_moon(held, k) for k in (0, 1)))
    nats = np.mean(flow.log_prob(held, classes[held_which]))
    print(f"two moons given the class: {nats:.3f} nats a held-out row, exact density {exact.mean():.3f}")
    limits = densities.DENSITIES["two moons"].limits
    figure = new_figure((9.6, 6.4))
    for k, row in enumerate(figure.subplots(2, 3, sharex=True, sharey=True)):
        density_panel(row[0], lambda p, k=k: densities.log_density_of_moon(p, k), limits, 240)
        density_panel(row[1], lambda p, k=k: flow.log_prob(p, classes[k]), limits, 240)
        samples = np.asarray(flow.sample(jax.random.key(2), 1500, classes[k]))
        row[2].plot(*held[held_which == k][:1500].T, ".", color=DATA, markersize=2.5, markeredgewidth=0, label="data")
        row[2].plot(*samples.T, ".", color=MODEL, markersize=2.5, markeredgewidth=0, label="samples")
        for axes, title in zip(row, (f"class {k}: exact density", "flow given the class", "rows"), strict=True):
            tidy(axes)
            axes.set(xlim=limits[0], ylim=limits[1])
            axes.set_box_aspect(1)
            title_at_left(axes, title)
        row[2].legend(frameon=False, fontsize=8, markerscale=3)
    return figure


def main() -> None:
    save_figure(one_given_one(), HERE / "conditional.png")
    save_figure(two_given_a_class(), HERE / "conditional_class.png")


if __name__ == "__main__":
    main()
