"""Two noisy circles, learnt by one MAF layer and by four with permutations between.

One layer can only draw each column as a normal given the column before it, so it leaves the middle filled; four
layers close the ring. Run with ``python examples/circles.py``; the picture lands in the folder given by ``--out``.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import ive
from sklearn.datasets import make_circles
from sklearn.preprocessing import StandardScaler

from densiflow import Flow, recipes, training
from densiflow.judge import density_contours, save_figure

NOISE, FACTOR = 0.05, 0.99
LIMITS = ((-2.5, 2.5), (-2.5, 2.5))

Floats = NDArray[np.float64]


def circles(rows: int, seed: int) -> Floats:
    """Rows (n, 2) on circles of radius 1 and 0.99, each moved by noise."""
    return make_circles(rows, noise=NOISE, factor=FACTOR, random_state=seed)[0]


def exact_log_density(x: Floats) -> Floats:
    r"""Give the density that the circles are drawn from, with angles taken as uniform: (n, 2) to (n,) nats.

    .. math:: p(x) = \tfrac12 \sum_R \frac{1}{2\pi s^2} \exp\left(-\frac{r^2 + R^2}{2 s^2}\right)
              I_0\left(\frac{r R}{s^2}\right), \qquad r = \|x\|, \; R \in \{1, 0.99\}
    """
    radius = np.linalg.norm(x, axis=1)[:, None]
    ring = np.array([1.0, FACTOR])
    # ive(0, t) is exp(-t) I0(t), which does not overflow; the square takes the exp(-t) up again
    log_ring = -0.5 * ((radius - ring) / NOISE) ** 2 + np.log(ive(0, radius * ring / NOISE**2))
    return np.logaddexp.reduce(log_ring, axis=1) - np.log(2 * 2 * np.pi * NOISE**2)


def fitted(layers: int, x: Floats) -> Flow:
    """Fit a masked autoregressive flow of that many layers with the default training."""
    key = jax.random.key(0)
    flow, _ = training.fit(recipes.maf(key, dim=2, layers=layers, hidden=(128, 128)), jax.random.key(1), x)
    return flow


def picture(flows: dict[str, Flow], x: Floats) -> Figure:
    """Draw a row for each flow: its density, and its samples against the data."""
    figure = Figure(figsize=(9.2, 4.2 * len(flows)), layout="constrained")
    for part, (name, flow) in zip(figure.subfigures(len(flows)), flows.items(), strict=True):
        samples = flow.sample(jax.random.key(1), len(x))
        density_contours(flow.log_prob, LIMITS, ["x", "y"], data=x, samples=samples, title=name, figure=part)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo/circles"), help="folder for the picture (%(default)s)")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)

    raw = circles(1600, seed=1)
    scaler = StandardScaler().fit(raw)
    x = scaler.transform(raw)
    flows = {"one MAF layer": fitted(1, x), "four MAF layers with permutations": fitted(4, x)}

    fresh = circles(20_000, seed=2)
    print("mean log-likelihood of 20,000 fresh points, nats")
    for name, flow in flows.items():
        print(f"  {name:36}{np.mean(flow.log_prob(scaler.transform(fresh))):7.3f}")
    print(f"  {'exact density':36}{np.mean(exact_log_density(fresh)) + np.log(scaler.scale_).sum():7.3f}")

    save_figure(picture(flows, x), folder / "circles.png")
    print(f"picture: {folder / 'circles.png'}")


if __name__ == "__main__":
    main()
