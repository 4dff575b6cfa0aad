"""Two noisy circles by one MAF layer and by four: densities and samples, and what each of the four layers does.

The data, the exact density and the fits are those of ``examples/circles.py``.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from sklearn.preprocessing import StandardScaler

from densiflow.judge import data_beside_model, journey, journey_panels, latent_space, save_figure, save_journey

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "examples"))

import circles  # noqa: E402

NAMES = ["x", "y"]
LIMITS = ((-3.0, 3.0), (-3.0, 3.0))


def main() -> None:
    scaler = StandardScaler().fit(circles.circles(1600, seed=1))
    x = scaler.transform(circles.circles(1600, seed=1))
    fresh = circles.circles(20_000, seed=2)
    flows = {"one MAF layer": circles.fitted(1, x), "four MAF layers": circles.fitted(4, x)}
    for name, flow in flows.items():
        print(f"{name}: {np.mean(flow.log_prob(scaler.transform(fresh))):.3f} nats a fresh point")
    exact = np.mean(circles.exact_log_density(fresh)) + np.log(scaler.scale_).sum()
    print(f"exact density: {exact:.3f} nats a fresh point")
    save_figure(circles.picture(flows, x), HERE / "circles.png")

    four = flows["four MAF layers"]
    z = np.random.default_rng(0).normal(size=(1500, 2))
    positions = journey(four, z, column_order="data")
    save_figure(journey_panels(positions, NAMES, limits=LIMITS), HERE / "circles_journey.png")
    save_journey(positions, HERE / "circles_journey.gif", NAMES, limits=LIMITS)
    fresh = scaler.transform(fresh[:2400])
    save_figure(latent_space(four, fresh, NAMES), HERE / "circles_latent.png")
    samples = four.sample(jax.random.key(2), len(fresh))
    save_figure(data_beside_model(fresh, samples, NAMES, labels=("fresh data", "samples")), HERE / "circles_beside.png")


if __name__ == "__main__":
    main()
