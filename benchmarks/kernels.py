"""The compiled kernels beside JAX alone: the same flows, in one process, in turns.

    python benchmarks/kernels.py [--kind spline] [--case small power ...] [--quantity train ...] [--rounds N]

Printed are medians of the time by the clock and of the processors' time divided by two, which hardly notices what else
runs on a machine of two cores. `python -m densiflow.native` compiles the kernels.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from cases import AFFINE, SPLINE
from peer_densiflow import make
from report import figure, table

from densiflow import native

QUANTITIES = {"train": None, "log_prob": 10_000, "sample": 1_000}  # rows, None for the batch
WAYS = {"JAX alone": "none", "kernels": "all"}


def timed(run, mode):
    """Milliseconds by the clock, and the processors' halved."""
    with native.derivatives(mode):
        clock, processors = time.perf_counter(), time.process_time()
        times = run(1)
        return (
            1e3 * (time.perf_counter() - clock) / times,
            500 * (time.process_time() - processors) / times,
        )


def measured(case, quantity, rounds):
    """By way the medians of both times, after one call of each to compile it."""
    runs = {way: make(case, quantity, QUANTITIES[quantity] or case.batch, "")[""] for way in WAYS}
    seen = {way: [] for way in WAYS}
    for way, mode in WAYS.items():
        timed(runs[way], mode)
    for _ in range(rounds):
        for way, mode in WAYS.items():
            seen[way].append(timed(runs[way], mode))
    return {way: [median(column) for column in zip(*times, strict=True)] for way, times in seen.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=("affine", "spline"), default="affine")
    parser.add_argument("--case", nargs="+", choices=AFFINE, default=["small", "power", "miniboone", "bsds300"])
    parser.add_argument("--quantity", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if not native.available():
        sys.exit("the kernels have not been compiled: run python -m densiflow.native")
    lines, cases = [], AFFINE if options.kind == "affine" else SPLINE
    for name in filter(cases.get, options.case):
        for quantity in options.quantity:
            ways = measured(cases[name], quantity, options.rounds)
            (clock, cores), (clock_alone, cores_alone) = ways["kernels"], ways["JAX alone"]
            ratios = [f"{clock_alone / clock:.2f}", f"{cores_alone / cores:.2f}"]
            lines.append([name, quantity, *map(figure, (clock_alone, clock, cores_alone, cores)), *ratios])
    heads = ["case", "", "JAX, ms", "kernels", "JAX, cores / 2", "kernels", "times", "times, cores"]
    print(table(heads, lines))


if __name__ == "__main__":
    main()
