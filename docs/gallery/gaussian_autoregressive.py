"""A Gaussian autoregressive model as a flow: sampling column by column in a plain loop is `Flow.to_data`.

The data are such a model themselves: x₁ is normal, and x₂ given x₁ is normal with a mean and a spread that bend.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from densiflow import Flow, recipes, training
from densiflow.judge import save_figure
from densiflow.judge.style import DATA_SHADES, MODEL, MODEL_SHADES, TRUTH, new_figure, tidy, title_at_left

HERE = Path(__file__).parent
Floats = NDArray[np.float64]


def true_mean(x: Floats) -> Floats:
    return np.sin(2 * x)


def true_spread(x: Floats) -> Floats:
    return 0.1 + 0.5 / (1 + np.exp(-2 * x))


def rows(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    return np.stack([first, true_mean(first) + true_spread(first) * rng.normal(size=n)], axis=1)


def mean_and_log_spread(flow: Flow, x: Floats) -> tuple[Floats, Floats]:
    """What the model's one layer says of every column of a row (2,) given the columns before it, in data's units."""
    (layer,) = (step for step in flow.bijection.unstacked()[0].members if hasattr(step, "conditioner"))
    scaling = flow.scaling.value
    theta = layer.conditioner(scaling.to_base(jnp.asarray(x, jnp.float32))[0])
    mean, _ = scaling.to_data(theta[:, 0])
    alpha = layer.scalar.log_scale(theta[:, 1]) + scaling.log_scale
    return np.asarray(mean, np.float64), np.asarray(alpha, np.float64)


def step_by_step(flow: Flow, z: Floats) -> Floats:
    """Draw x₁, then x₂ given x₁, ...: x_i = z_i exp(alpha_i(x_<i)) + mu_i(x_<i)."""
    x = np.zeros_like(z)
    for n in range(len(z)):
        for i in range(z.shape[1]):
            mean, alpha = mean_and_log_spread(flow, x[n])
            x[n, i] = z[n, i] * np.exp(alpha[i]) + mean[i]
    return x


def picture(flow: Flow, looped: Floats, at_once: Floats) -> Figure:
    """Draw p(x₂ given x₁) as the model has it, and the two ways of drawing rows over each other."""
    figure = new_figure((9.0, 4.2))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    grid = np.linspace(-3, 3, 200)
    said = [mean_and_log_spread(flow, np.array([x, 0.0])) for x in grid]
    mean, spread = np.array([m[1] for m, _ in said]), np.exp([a[1] for _, a in said])
    left.fill_between(grid, mean - 2 * spread, mean + 2 * spread, color=MODEL_SHADES[2], linewidth=0, label="fitted")
    left.plot(grid, mean, color=MODEL, linewidth=1.6)
    for sign in (-2, 0, 2):
        label = "true mean, and 2 deviations around it" if sign == 0 else None
        line = true_mean(grid) + sign * true_spread(grid)
        left.plot(grid, line, color=TRUTH, linewidth=1.1, linestyle=(0, (4, 3)), label=label)
    right.plot(*looped.T, "o", color=DATA_SHADES[1], markersize=6, markeredgewidth=0, label="column by column")
    right.plot(*at_once.T, ".", color=MODEL, markersize=3.5, markeredgewidth=0, label="Flow.to_data")
    for axes, title in ((left, "x₂ given x₁"), (right, f"largest difference {np.abs(looped - at_once).max():.0e}")):
        tidy(axes)
        axes.set(xlim=(-3, 3), ylim=(-2.6, 2.9), xlabel="x₁", ylabel="x₂")
        title_at_left(axes, title)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def main() -> None:
    x = rows(10_000, seed=0)
    flow = recipes.made(jax.random.key(0), dim=2, hidden=(64, 64), activation="tanh")
    flow, _ = training.fit(flow, jax.random.key(1), x, validation=0, max_epochs=60, batch_size=256, learning_rate=4e-3)
    z = np.random.default_rng(2).normal(size=(300, 2))
    looped, at_once = step_by_step(flow, z), np.asarray(flow.to_data(z)[0], np.float64)
    print(f"largest difference between the loop and to_data: {np.abs(looped - at_once).max():.1e}")
    save_figure(picture(flow, looped, at_once), HERE / "gaussian_autoregressive.png")


if __name__ == "__main__":
    main()
