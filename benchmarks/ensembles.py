"""Members of an ensemble trained in one program, beside the same members one after another.

    python benchmarks/ensembles.py [--case small power] [--members 2 5 10] [--epochs N] [--rounds N] [--record]

Both give the same members. They take turns in one process; the first turn of each compiles and is not counted.
Medians of the rounds, in seconds, for 8,192 rows in batches of 512, an eighth held out.
"""

import argparse
import time
from statistics import median

import jax
import numpy as np
from cases import AFFINE
from report import figure, machine, record, said, table

from densiflow import recipes, training

ROWS = 8192


def together(flows, key, x, options):
    return training.fit_ensemble(flows, key, x, **options)


def one_after_another(flows, key, x, options):
    keys = jax.random.split(key, len(flows))
    return [training.fit(flow, own, x, **options) for flow, own in zip(flows, keys, strict=True)]


def seconds(fit, *arguments):
    started = time.perf_counter()
    jax.block_until_ready(jax.tree.leaves(fit(*arguments)))
    return time.perf_counter() - started


def compared(case, members, epochs, rounds):
    """Seconds of both ways, round by round."""
    keys = jax.random.split(jax.random.key(0), members)
    flows = [recipes.maf(key, case.dim, layers=case.layers, hidden=case.hidden) for key in keys]
    x = np.random.default_rng(0).standard_normal((ROWS, case.dim), np.float32)
    options = {"validation": 0.125, "max_epochs": epochs, "batch_size": case.batch, "verbose": False}
    ways = {"together": together, "one after another": one_after_another}
    taken = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, fit in ways.items():
            taken[name].append(seconds(fit, flows, jax.random.key(1), x, options))
    return {name: times[1:] for name, times in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=AFFINE, default=["small", "power"])
    parser.add_argument("--members", nargs="+", type=int, default=[2, 5, 10])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    lines, measured = [], []
    for name in options.case:
        for members in options.members:
            taken = compared(AFFINE[name], members, options.epochs, options.rounds)
            ratio = median(b / a for a, b in zip(*taken.values(), strict=True))
            lines.append([f"{name}, {members} members", *(figure(median(t)) for t in taken.values()), f"{ratio:.2f}"])
            measured.append({"case": name, "members": members, "seconds": taken})
            print(*lines[-1], flush=True)
    words = table([f"Fit of {options.epochs} epochs, s", "together", "one after another", "ratio"], lines)
    print(f"\n{words}\n\n{said(machine())}")
    if options.record:
        record("ensembles", f"# Ensembles\n\n{words}", measured)


if __name__ == "__main__":
    main()
