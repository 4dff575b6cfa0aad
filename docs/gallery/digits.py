"""Digits drawn by NICE and by RealNVP, beside digits of scikit-learn's 8 x 8 images.

Grey levels 0 .. 16 are spread by uniform noise (``level + u``, so that a density exists); what a flow draws is
rounded down again. The noise makes ``-log p(x)`` an upper bound of the bits of the levels.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from densiflow import Flow, recipes, training
from densiflow.judge import save_figure
from densiflow.judge.style import new_figure, title_at_left

HERE = Path(__file__).parent
SIDE, LEVELS = 8, 17
HELD = 200  # digits held out to judge when to stop, and as many again to judge the result
Floats = NDArray[np.float64]


def spread(levels: Floats, seed: int) -> Floats:
    """Levels 0 .. 16 with uniform noise, so that they fill 0 .. 17."""
    return levels + np.random.default_rng(seed).uniform(size=levels.shape)


def levels_of(x: Floats) -> Floats:
    """Undo `spread`, and bring what lies outside to the nearest level."""
    return np.clip(np.floor(x), 0, LEVELS - 1)


def fitted(flow: Flow, train: Floats, validation: Floats, epochs: int) -> Flow:
    """Fit on copies of the training digits, each with noise of its own; the validation digits judge when to stop."""
    x = np.concatenate([spread(train, seed) for seed in range(8)])
    judges = (np.concatenate([spread(validation, seed) for seed in range(8, 12)]),)
    rate = {"batch_size": 256, "learning_rate": 1e-3, "weight_decay": 1e-2}
    return training.fit(flow, jax.random.key(1), x, validation=judges, max_epochs=epochs, patience=8, **rate)[0]


def sheet(digits: Floats, across: int = 10, down: int = 7) -> Floats:
    """One image of many: digits (n, 64) in rows and columns, with a line of white between."""
    tiles = np.pad(digits[: across * down].reshape(down, across, SIDE, SIDE), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return tiles.transpose(0, 2, 1, 3).reshape(down * (SIDE + 2), across * (SIDE + 2))


def picture(sheets: dict[str, Floats]) -> Figure:
    """Draw each sheet in a panel."""
    figure = new_figure((4.0 * len(sheets), 3.1))
    for axes, (name, image) in zip(figure.subplots(1, len(sheets)), sheets.items(), strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=LEVELS - 1, interpolation="nearest")
        axes.set_axis_off()
        title_at_left(axes, name)
    return figure


def main() -> None:
    levels = load_digits().data[np.random.default_rng(0).permutation(1797)]
    train, validation, held = np.split(levels, [-2 * HELD, -HELD])
    key, options = jax.random.key(0), {"hidden": (256, 256)}
    flows = {
        "NICE": recipes.nice(key, dim=SIDE * SIDE, layers=6, **options),
        "RealNVP": recipes.real_nvp(key, dim=SIDE * SIDE, layers=8, bound=1.0, **options),
    }
    sheets = {"digits of the data": sheet(held)}
    for name, flow in flows.items():
        flow = fitted(flow, train, validation, epochs=25)
        nats = np.concatenate([flow.log_prob(spread(held, seed)) for seed in range(20, 30)])
        print(f"{name}: {nats.mean():.1f} nats a held-out digit, {-nats.mean() / np.log(2) / SIDE**2:.3f} bits a pixel")
        drawn = levels_of(np.asarray(flow.sample(jax.random.key(2), 70), np.float64))
        sheets[f"drawn by {name}"] = sheet(drawn)
    save_figure(picture(sheets), HERE / "digits.png")


if __name__ == "__main__":
    main()
