"""Scoring many tables and long ones: what is compiled, and how much memory it takes.

    python benchmarks/scoring.py [--tables 500] [--rows 10_000_000] [--record]

First, tables of 1 to 5,000 rows are scored one after another, by `Flow.log_prob` and by `FlowDensity.score_samples`,
and the programs that XLA compiles meanwhile are counted, small operations among them. Then `densiflow score` reads a
Parquet table of 10 columns, and the most memory that it held is taken from the operating system.
"""

import argparse
import json
import os
import subprocess
import sys
import time

from report import figure, machine, record, said, table
from workers import ROOT

CACHE = ROOT / ".cache" / "bench"
COLUMNS = 10
COMPILED = "/jax/core/compile/backend_compile_duration"

COUNTING = f"""
import json, sys, time
import jax
import numpy as np
from densiflow import FlowDensity, recipes

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: compiled.append(seconds) if name == {COMPILED!r} else None
)
numbers = np.random.default_rng(0)
x = numbers.standard_normal((5000, {COLUMNS})).astype(np.float32)
lengths = numbers.permutation(np.linspace(1, 5000, int(sys.argv[1])).astype(int))
flow = recipes.maf(jax.random.key(0), dim={COLUMNS})
density = FlowDensity("maf", max_epochs=1, random_state=0).fit(x[:1000])
answer = {{}}
for name, score in {{"Flow.log_prob": flow.log_prob, "FlowDensity.score_samples": density.score_samples}}.items():
    compiled.clear()
    started = time.perf_counter()
    for length in lengths:
        np.asarray(score(x[:length]))
    answer[name] = {{"compilations": len(compiled), "seconds": time.perf_counter() - started}}
print(json.dumps(answer))
"""

WRITING = f"""
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

numbers = np.random.default_rng(0)
names = [f"column {{k}}" for k in range({COLUMNS})]
path, rows = sys.argv[1], int(sys.argv[2])
schema = pa.schema([(name, pa.float64()) for name in names])
with pq.ParquetWriter(path, schema) as writer:
    for start in range(0, rows, 1 << 17):
        cells = numbers.standard_normal(({COLUMNS}, min(1 << 17, rows - start)))
        writer.write_table(pa.table(list(cells), names=names))
"""


def python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def command(*words):
    """Run densiflow: the seconds that it took and the bytes that it held at most."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "densiflow.cli", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"densiflow {words[0]} ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_maxrss * 1024


def rows_file(rows):
    path = CACHE / f"rows_{rows}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        python(WRITING, part, rows)
        part.rename(path)
    return path


def scored(rows):
    """`densiflow score` of so many rows with a model of a few thousand others."""
    model = CACHE / "rows.densiflow"
    command("fit", rows_file(2000), "--model", model, "--flow", "maf", "--max-epochs", 2, "--seed", 0)
    out = CACHE / "scored.parquet"
    seconds, held = command("score", model, rows_file(rows), "--out", out)
    out.unlink()
    return {"rows": rows, "seconds": seconds, "bytes": held}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    counted = json.loads(python(COUNTING, options.tables))
    lines = [[name, found["compilations"], figure(found["seconds"])] for name, found in counted.items()]
    parts = [table([f"Scoring {options.tables} tables of 1 to 5,000 rows", "compilations", "s"], lines)]
    print(parts[0], flush=True)
    runs = [scored(rows) for rows in (options.rows // 10, options.rows)]
    lines = [[f"{run['rows']:,}", figure(run["seconds"]), figure(run["bytes"] / 1e9)] for run in runs]
    parts.append(table([f"`densiflow score`, rows x {COLUMNS} columns of Parquet", "s", "GB held at most"], lines))
    words = "\n\n".join(parts)
    print(f"\n{parts[1]}\n\n{said(machine())}")
    if options.record:
        record("scoring", f"# Scoring\n\n{words}", {"counted": counted, "scored": runs})


if __name__ == "__main__":
    main()
