"""Training, scoring and sampling of masked autoregressive and coupling flows, beside the peers.

    python benchmarks/flows.py [--kind affine conditional spline coupling] [--case small power ...] [--rounds N]
                               [--quantity train log_prob ...] [--peers flowjax zuko ...] [--record [NAME]]

Each library is a process of its own; they take turns, one timed block each, round after round. Printed are medians;
in brackets the median over the rounds of a time by ours (in JAX alone) in the same round; then the arithmetic a second
that non-zero weights alone ask for, and its share of what a large product of float32 matrices reaches in the same run.
"Conditional" flows are given a context of 8 numbers; their samples are one for each of 1,000 contexts.
A library's fastest variant is timed (torch eager or compiled, TensorFlow's graph or XLA) and named. Every weight has
been moved from its start. `--record` writes all that to `benchmarks/results/flows.md`, or another name.
"""

import argparse
import subprocess
import sys
from statistics import median

from cases import AFFINE, KINDS
from report import figure, machine, record, said, table
from workers import LIBRARIES, Entrant, Worker, measure, ratio

OURS = "densiflow"
ENTRANTS = [
    Entrant(OURS),
    Entrant(OURS, "whole fit", ("train",), skips=("mnist",)),
    Entrant("jax alone"),
    Entrant("flowjax"),
    Entrant("flowjax", "scanned", ("train",)),
    Entrant("flowjax", "Jacobi", ("sample",), ("affine",)),
    Entrant("zuko", skips=("mnist",)),
    Entrant("zuko", "Jacobi", ("sample",), ("affine",), skips=("mnist",)),
    Entrant("nflows", skips=("mnist",)),
    Entrant("TFP", kinds=("affine",), skips=("mnist",)),
]
QUANTITIES = {  # name: (title, rows a unit, None for the batch)
    "train": ("Training step", None),
    "log_prob": ("log_prob of 10,000 rows", 10_000),
    "log_prob_1000": ("log_prob of 1,000 rows", 1_000),
    "sample": ("Sampling 1,000 rows", 1_000),
}
SLOW = {("mnist", "sample"): ("flowjax",)}  # minutes a run: measured once, compiled ahead


def peak_of(workers, case):
    """GFLOP/s of a product of two 2048 x 2048 matrices, the best of five blocks."""
    result = measure(workers, [Entrant(OURS)], case, "peak", 0, rounds=5)
    return 2e-9 * 2048**3 / min(result[OURS]["seconds"])


def measured(workers, entrants, case, quantity, rounds):
    """One quantity of one case: the times of all, and our arithmetic a second."""
    asked, (_, rows) = quantity.removesuffix("_1000"), QUANTITIES[quantity]
    able = [entrant for entrant in entrants if entrant.enters(case, asked)]
    rows = rows or case.batch
    results = measure(workers, able, case, asked, rows, rounds, SLOW.get((case.name, asked), ()))
    for label, result in results.items():
        result["ms"] = 1000 * median(result["seconds"])
        result["gflops"] = case.gflop(asked, rows) / median(result["seconds"])
        if OURS in results:
            result["ratio"] = ratio(result, results[OURS])
        variant = f" ({result['variant']})" if result["variant"] else ""
        times = f"  {result['ratio']:.2f} x ours" if "ratio" in result and label != OURS else ""
        print(f"  {quantity:<14} {label + variant:<30} {figure(result['ms']):>8} ms{times}", flush=True)
    return results


def tables(runs, peak):
    """A table of times a quantity, and one of arithmetic a second."""
    parts = []
    for quantity, (title, _) in QUANTITIES.items():
        rows = {case.label: results for (case, asked), results in runs.items() if asked == quantity}
        if rows:
            parts.append(_beside(f"{title}, ms", rows, _cell))
    rows = {f"{case.label}, {quantity}": results for (case, quantity), results in runs.items()}
    parts.append(_beside("GFLOP/s (of the limit)", rows, lambda label, result: _share(result, peak)))
    parts.append(f"The limit: {peak:.0f} GFLOP/s, a product of two 2048 x 2048 float32 matrices.")
    ours = _sampling_beside_scoring(runs)
    return "\n\n".join([*parts, *([ours] if ours else [])])


def _beside(title, rows, cell):
    labels = list(dict.fromkeys(label for results in rows.values() for label in results))
    lines = [
        [name, *(cell(label, results[label]) if label in results else "-" for label in labels)]
        for name, results in rows.items()
    ]
    return table([title, *labels], lines)


def _share(result, peak):
    return f"{figure(result['gflops'])} ({result['gflops'] / peak:.0%})"


def _cell(label, result):
    once = " once" if len(result["seconds"]) == 1 else ""
    times = f" ({result['ratio']:.2f})" if "ratio" in result and label != OURS else ""
    variant = f" {result['variant']}" if result["variant"] else ""
    return f"{figure(result['ms'])}{variant}{once}{times}"


def _sampling_beside_scoring(runs):
    """Our own samples against our own log_prob, both of 1,000 rows."""
    labels = [Entrant(library).label for library in (OURS, "jax alone")]
    lines = []
    for (case, quantity), drawn in runs.items():
        scored = runs.get((case, "log_prob_1000"))
        if quantity == "sample" and scored:
            both = (label in drawn and label in scored for label in labels)
            cells = [f"{drawn[a]['ms'] / scored[a]['ms']:.2f}" if b else "-" for a, b in zip(labels, both, strict=True)]
            lines.append([case.label, *cells])
    return table(["Sampling 1,000 rows by log_prob of 1,000", *labels], lines) if lines else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=["affine"])
    parser.add_argument("--case", nargs="+", choices=AFFINE, default=["small", "power", "miniboone", "bsds300"])
    parser.add_argument("--quantity", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument("--peers", nargs="*", choices=list(LIBRARIES)[1:], default=list(LIBRARIES)[1:])
    parser.add_argument("--rounds", type=int, default=7)
    told = "write the results to benchmarks/results, under that name (flows)"
    parser.add_argument("--record", nargs="?", const="flows", metavar="NAME", help=told)
    options = parser.parse_args()
    entrants = [entrant for entrant in ENTRANTS if entrant.library in (OURS, *options.peers)]
    cases = [KINDS[kind][name] for kind in options.kind for name in options.case if name in KINDS[kind]]
    subprocess.run([sys.executable, "-m", "densiflow.native"], check=True)  # compiled unless they are there
    workers = {library: Worker(library) for library in dict.fromkeys(entrant.library for entrant in entrants)}
    runs = {}
    try:
        peak = peak_of(workers, cases[0])
        for case in cases:
            print(case.label, flush=True)
            for quantity in options.quantity:
                runs[case, quantity] = measured(workers, entrants, case, quantity, options.rounds)
            peak = max(peak, peak_of(workers, case))
    finally:
        for worker in workers.values():
            worker.close()
    words = tables(runs, peak)
    print(f"\n{words}\n\n{said(machine())}")
    if options.record:
        entries = [
            {"case": case.as_dict(), "quantity": quantity, "results": results}
            for (case, quantity), results in runs.items()
        ]
        record(options.record, f"# Flows beside the peers\n\n{words}", {"peak_gflops": peak, "runs": entries})


if __name__ == "__main__":
    main()
