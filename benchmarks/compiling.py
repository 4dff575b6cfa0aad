"""How long a new shape takes to compile, each in a process of its own, nothing kept between them.

    python benchmarks/compiling.py [--dim 6 63 784] [--layers 5 10 20] [--kind affine spline]
                                   [--library "jax alone"] [--rounds N] [--record]

It is what the first call takes beyond the second: log_prob of 1,000 rows, a run of training steps, sampling 1,000
rows. Medians of the rounds, in seconds.
"""

import argparse
from statistics import median

from cases import Case
from report import figure, machine, record, said, table
from workers import Worker

HIDDEN = {6: (100, 100), 63: (512, 512), 784: (1024,)}
QUANTITIES = ("log_prob", "train", "sample")
UNKEPT = {"JAX_ENABLE_COMPILATION_CACHE": "false"}


def seconds(library, case, quantity, rounds):
    taken = []
    for _ in range(rounds):
        worker = Worker(library, UNKEPT)
        try:
            answer = worker.ask(prepare="", case=case.as_dict(), quantity=quantity, rows=1000, way="")
        finally:
            worker.close()
        if answer["broken"]:
            raise RuntimeError(f"{case.label}, {quantity}: {answer['broken']}")
        taken.append(answer["compiling"])
    return median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", nargs="+", type=int, choices=HIDDEN, default=list(HIDDEN))
    parser.add_argument("--layers", nargs="+", type=int, default=[5, 10, 20])
    parser.add_argument("--kind", nargs="+", choices=("affine", "spline"), default=["affine", "spline"])
    parser.add_argument("--library", choices=("densiflow", "jax alone"), default="densiflow")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write the results to benchmarks/results")
    options = parser.parse_args()
    rows, measured = [], []
    for kind in options.kind:
        for dim in options.dim:
            if kind == "spline" and dim == 784:
                continue
            for quantity in QUANTITIES:
                taken = []
                for layers in options.layers:
                    case = Case("compiled", dim, HIDDEN[dim], layers, 256 if dim == 784 else 512, kind)
                    taken.append(seconds(options.library, case, quantity, options.rounds))
                    measured.append({"case": case.as_dict(), "quantity": quantity, "seconds": taken[-1]})
                grown = f"{taken[-1] / taken[0]:.2f}"
                rows.append([f"{kind}, D = {dim}, {quantity}", *map(figure, taken), grown])
                print(*rows[-1], flush=True)
    head = ["Compiling, s", *(f"{layers} layers" for layers in options.layers), "last by first"]
    words = table(head, rows)
    print(f"\n{words}\n\n{said(machine())}")
    if options.record:
        record("compiling", f"# Compiling\n\n{words}", measured)


if __name__ == "__main__":
    main()
