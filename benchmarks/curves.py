"""How the cost of a step, of log_prob and of sampling grows with columns, layers, width and rows.

    python benchmarks/curves.py [--along dim layers hidden rows] [--peers flowjax] [--rounds N] [--record]

All but one of the sizes stay at 16 columns, 5 layers, two hidden layers of 256 and 512 rows. Slopes are those of
straight lines through the larger half of the points, in logarithms: 1 is cost in proportion.
"""

import argparse
from dataclasses import replace
from statistics import median

import numpy as np
from cases import Case
from report import RESULTS, figure, machine, record, said, table
from workers import Entrant, Worker, measure

from densiflow.judge.style import DATA, INK, MODEL, MUTED, new_figure

MIDDLE = Case("curve", 16, (256, 256), 5, 512)
SIZES = {
    "dim": [4, 8, 16, 32, 64, 128],
    "layers": [1, 2, 4, 8, 16],
    "hidden": [32, 64, 128, 256, 512, 1024],
    "rows": [64, 256, 1000, 4000, 16000],
}
WORDS = {"dim": "columns", "layers": "layers", "hidden": "width of hidden layers", "rows": "rows"}
QUANTITIES = {"train": "training step", "log_prob": "log_prob", "sample": "sampling"}
COLOURS = {"densiflow": MODEL, "flowjax": DATA}


def resized(along, size):
    """The middle case with one of its sizes changed."""
    if along == "rows":
        return replace(MIDDLE, batch=size)
    return replace(MIDDLE, **{along: (size, size) if along == "hidden" else size})


def slope_of(sizes, seconds):
    """Exponent and constant of a power law through the larger half of the points."""
    half = len(sizes) // 2
    return np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)


def draw(curves):
    """A row of panels a quantity, a column for what grows; the fitted line and its slope beside each curve."""
    alongs = list(dict.fromkeys(along for along, _, _ in curves))
    picture = new_figure((2.6 * len(alongs) + 0.6, 6.6))
    panels = picture.subplots(len(QUANTITIES), len(alongs), sharey="row", squeeze=False)
    for row, quantity in zip(panels, QUANTITIES, strict=True):
        for axes, along in zip(row, alongs, strict=True):
            axes.set(xscale="log", yscale="log")
            for library, colour in COLOURS.items():
                seconds = curves.get((along, quantity, library))
                if seconds is not None:
                    beside = "top" if library == "densiflow" else "bottom"  # so that close curves' slopes are apart
                    _line(axes, np.array(SIZES[along]), np.array(seconds), colour, beside)
            _ticks(axes, SIZES[along])
        row[0].set_ylabel(f"{QUANTITIES[quantity]}, ms", fontsize=9, color=INK)
    for axes, along in zip(panels[-1], alongs, strict=True):
        axes.set_xlabel(WORDS[along], fontsize=9, color=INK)
    for k, (library, colour) in enumerate(COLOURS.items()):
        if any(library == name for _, _, name in curves):
            panels[0, 0].text(0.04, 0.95 - 0.1 * k, library, transform=panels[0, 0].transAxes, color=colour, fontsize=8)
    return picture


def _line(axes, sizes, seconds, colour, beside):
    slope, constant = slope_of(sizes, seconds)
    half = sizes[len(sizes) // 2 :]
    axes.plot(sizes, 1000 * seconds, "o", color=colour, markersize=3.5)
    axes.plot(half, 1000 * np.exp(constant) * half**slope, color=colour, linewidth=1.2)
    axes.annotate(
        f"{slope:.2f}",
        (sizes[-1], 1000 * np.exp(constant) * sizes[-1] ** slope),
        xytext=(4, 0),
        textcoords="offset points",
        va=beside,
        color=colour,
        fontsize=8,
        annotation_clip=False,
    )


def _ticks(axes, sizes):
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=MUTED, linewidth=0.8)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.tick_params(labelsize=7, colors=INK, color=MUTED)
    axes.minorticks_off()
    axes.margins(x=0.12)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--along", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--peers", nargs="*", choices=("flowjax",), default=["flowjax"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="write table and picture to benchmarks/results")
    options = parser.parse_args()
    entrants = [
        Entrant("densiflow"),
        *(Entrant(name, "scanned" if name == "flowjax" else "") for name in options.peers),
    ]
    workers = {entrant.library: Worker(entrant.library) for entrant in entrants}
    curves = {}
    try:
        for along in options.along:
            for quantity in QUANTITIES:
                for size in SIZES[along]:
                    case = resized(along, size)
                    results = measure(workers, entrants, case, quantity, case.batch, options.rounds)
                    for entrant in entrants:
                        seconds = median(results[entrant.label]["seconds"])
                        curves.setdefault((along, quantity, entrant.library), []).append(seconds)
                        print(along, size, quantity, entrant.label, f"{figure(1000 * seconds)} ms", flush=True)
    finally:
        for worker in workers.values():
            worker.close()
    names = list(workers)
    rows = [
        [f"{QUANTITIES[quantity]}, {WORDS[along]}"]
        + [f"{slope_of(SIZES[along], curves[along, quantity, name])[0]:.2f}" for name in names]
        for along in options.along
        for quantity in QUANTITIES
    ]
    words = table(["Slope", *names], rows)
    print(f"\n{words}\n\n{said(machine())}")
    if options.record:
        RESULTS.mkdir(exist_ok=True)
        draw(curves).savefig(RESULTS / "curves.png")
        measured = [
            {"along": along, "quantity": quantity, "library": name, "sizes": SIZES[along], "seconds": seconds}
            for (along, quantity, name), seconds in curves.items()
        ]
        words = f"# Cost curves\n\n![Milliseconds against sizes, both in logarithms](curves.png)\n\n{words}"
        record("curves", words, measured)


if __name__ == "__main__":
    main()
