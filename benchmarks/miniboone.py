"""MINIBOONE by a five-layer MAF, beside the Gaussian, on the same rows.

    python benchmarks/miniboone.py FOLDER [--epochs N]

FOLDER holds ``train.npy`` (n, 43), ``train_weight.npy`` (n,) and ``val.npy`` (m, 43): the data of the MAF paper as it
was standardised there, of which the training part may be a weighted subset. Prints mean log-likelihoods on
``val.npy`` in nats, with standard errors. The Gaussian is a check of the rows: -37.14 with all 15,940 weighted rows,
-37.90 with the first 1,523.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from densiflow import FlowDensity
from densiflow.judge import gaussian


def line(name, nats):
    print(f"{name:<44} {nats.mean():8.2f} +- {nats.std() / np.sqrt(len(nats)):.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=None, help="limit of epochs; early stopping alone if not given")
    arguments = parser.parse_args()
    train, weight, held = (np.load(arguments.folder / f"{name}.npy") for name in ("train", "train_weight", "val"))
    line("Gaussian, first 1,523 rows", gaussian(train[:1523]).score_samples(held))
    line(f"Gaussian, {len(train)} rows with weights", gaussian(train, weight).score_samples(held))
    settings = {"relu": ("maf", "relu"), "tanh": ("maf", "tanh"), "tanh, Student-t base": ("auto", "tanh")}
    for name, (flow, activation) in settings.items():
        started = time.perf_counter()
        density = FlowDensity(
            flow, layers=5, hidden=(512, 512), activation=activation, max_epochs=arguments.epochs, random_state=0
        )
        density.fit(train, sample_weight=weight)
        line(f"MAF(5), 512 x 2, {name}", density.score_samples(held))
        epochs, seconds = len(density.history_.train), time.perf_counter() - started
        print(f"    {epochs} epochs, best {density.history_.best_epoch + 1}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
