"""How long a person waits at the command line: every command in a new process.

    python benchmarks/commands.py [--rounds N] [--record]

`densiflow fit` of 1,000 rows x 5 columns with ``--max-epochs 50``, with a cache of compiled programs that is empty and
then with what the command itself has left there; and `densiflow --help`. Medians of the rounds, in seconds.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from statistics import median

import numpy as np
from report import figure, machine, record, said, table
from workers import ROOT

CACHE = ROOT / ".cache" / "bench"
KEPT = CACHE / "kept"  # the user's cache folder, as far as the command knows


def seconds(*words):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "densiflow.cli", *map(str, words)],
        env=settings | {"XDG_CACHE_HOME": str(KEPT)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    rows = np.random.default_rng(0).standard_normal((1000, 5)) @ np.triu(np.ones((5, 5)))
    np.savetxt(CACHE / "rows.csv", rows, delimiter=",", header="a,b,c,d,e", comments="")
    fit = ["fit", CACHE / "rows.csv", "--model", CACHE / "rows.densiflow", "--max-epochs", 50]
    taken = {"fit, empty cache": [], "fit, warm cache": [], "--help": []}
    for _ in range(options.rounds):
        shutil.rmtree(KEPT, ignore_errors=True)
        taken["fit, empty cache"].append(seconds(*fit))
        taken["fit, warm cache"].append(seconds(*fit))
        taken["--help"].append(seconds("--help"))
    lines = [[f"densiflow {name}", figure(median(times))] for name, times in taken.items()]
    words = table(["Command", "s"], lines)
    print(f"{words}\n\n{said(machine())}")
    if options.record:
        record("commands", f"# Commands\n\n{words}", taken)


if __name__ == "__main__":
    main()
