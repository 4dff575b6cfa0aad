r"""Inverse autoregressive flows fitted to the four densities of the planar-flow paper, which are known but for Z.

The targets are exp(-U), as in Rezende & Mohamed 2015, "Variational inference with normalizing flows", table 1; the
three waves are bounded to about abs x1 <= 4, as in the paper's figure, by a soft edge. No data is used: each flow
learns from its own draws. Prints how far each ends from its target, KL(q || p) = log Z - ELBO, with log Z from a grid.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from matplotlib.figure import Figure

from densiflow import Flow, recipes, training
from densiflow.judge import save_figure
from densiflow.judge.panels import density_panel
from densiflow.judge.style import INK, MODEL, new_figure, tidy, title_at_left

LogTarget = Callable[[Array], Array]
LIMITS = ((-5.0, 5.0), (-5.0, 5.0))


def wave(x1: Array) -> Array:
    return jnp.sin(2 * jnp.pi * x1 / 4)


def box(x1: Array) -> Array:
    """Log of a soft indicator of abs x1 <= 4, which makes the waves proper."""
    return jax.nn.log_sigmoid((4 - jnp.abs(x1)) / 0.25)


def normal(gap: Array, width: float) -> Array:
    return -0.5 * (gap / width) ** 2


def ring(x: Array) -> Array:
    """U1: a ring of radius 2 with two lobes."""
    radius = jnp.sqrt(jnp.sum(x**2, axis=-1) + 1e-12)  # whose slope at the centre is finite
    lobes = jnp.logaddexp(normal(x[:, 0] - 2, 0.6), normal(x[:, 0] + 2, 0.6))
    return normal(radius - 2, 0.4) + lobes


def sine(x: Array) -> Array:
    """U2: a sine wave."""
    return normal(x[:, 1] - wave(x[:, 0]), 0.4) + box(x[:, 0])


def bump(x: Array) -> Array:
    """U3: a sine wave that parts and comes together again."""
    gap, shift = x[:, 1] - wave(x[:, 0]), 3 * jnp.exp(normal(x[:, 0] - 1, 0.6))
    return jnp.logaddexp(normal(gap, 0.35), normal(gap + shift, 0.35)) + box(x[:, 0])


def fork(x: Array) -> Array:
    """U4: a sine wave that parts for good."""
    gap, shift = x[:, 1] - wave(x[:, 0]), 3 * jax.nn.sigmoid((x[:, 0] - 1) / 0.3)
    return jnp.logaddexp(normal(gap, 0.4), normal(gap + shift, 0.35)) + box(x[:, 0])


TARGETS = {"U₁, ring with two lobes": ring, "U₂, sine wave": sine, "U₃, it parts": bump, "U₄, it forks": fork}


def log_integral(log_target: LogTarget, reach: float = 9.0, cells: int = 900) -> float:
    """Log Z by the midpoints of a fine grid."""
    side = 2 * reach / cells
    middle = -reach + side * (np.arange(cells) + 0.5)
    points = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    return float(logsumexp(log_target(jnp.asarray(points)))) + 2 * float(np.log(side))


def fitted(log_target: LogTarget, steps: int = 8000) -> Flow:
    """An inverse autoregressive flow that learned the target."""
    iaf = recipes.iaf(jax.random.key(0), dim=2, layers=8, hidden=(32, 32), activation="tanh")
    flow, _ = training.fit_target(iaf, jax.random.key(1), log_target, steps=steps, learning_rate=3e-3)
    return flow


def divergence(flow: Flow, log_target: LogTarget) -> tuple[float, float]:
    """KL(q || p) in nats and its standard error, from draws that training never met."""
    x, log_q = flow.sample_and_log_prob(jax.random.key(2), 100_000)
    nats = np.asarray(log_q - log_target(x), np.float64)
    return log_integral(log_target) + nats.mean(), nats.std() / np.sqrt(len(nats))


def picture(flows: dict[str, Flow], distances: dict[str, tuple[float, float]]) -> Figure:
    """Draw the target, the flow's density and its samples, a column for each target."""
    figure = new_figure((10.4, 7.8))
    rows = figure.subplots(3, len(flows), sharex=True, sharey=True)
    for column, (name, flow) in zip(rows.T, flows.items(), strict=True):
        for axes in column:
            tidy(axes)
            axes.set_box_aspect(1)
        density_panel(column[0], TARGETS[name], LIMITS, 240)
        title_at_left(column[0], name)
        density_panel(column[1], flow.log_prob, LIMITS, 240)
        title_at_left(column[1], f"KL {distances[name][0]:.3f} nats")
        x = np.asarray(flow.sample(jax.random.key(3), 2000))
        column[2].plot(x[:, 0], x[:, 1], ".", color=MODEL, markersize=2.6, alpha=0.8, markeredgewidth=0)
    for axes, words in zip(rows[:, 0], ("target", "flow", "2,000 samples"), strict=True):
        axes.set_ylabel(words, fontsize=9, color=INK)
    figure.supxlabel("x₁", fontsize=9)
    figure.supylabel("x₂", fontsize=9)
    return figure


def main() -> None:
    flows, distances = {}, {}
    for name, log_target in TARGETS.items():
        flows[name] = fitted(log_target)
        distances[name] = divergence(flows[name], log_target)
        print(f"{name}: KL(q || p) = {distances[name][0]:.4f} +- {distances[name][1]:.4f} nats", flush=True)
    save_figure(picture(flows, distances), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
