"""What the determinant of a Jacobian costs: n³ for a full matrix, n for a triangle, measured on this machine.

A full matrix goes through `numpy.linalg.slogdet`, which factors it first. A triangle's log-determinant is the sum of
the logs of its diagonal. One thread, float64, the best of several times; slopes are of the log-log lines' upper ends.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from densiflow.judge import save_figure
from densiflow.judge.style import INK, MODEL, MUTED, TRUTH, new_figure, tidy

FULL = 2 ** np.arange(4, 13)
TRIANGLE = 2 ** np.arange(4, 21)
SLOPE_OVER = 4  # points at a line's upper end
SECONDS = 0.3  # to spend on one point, at least


def full(n: int) -> Callable[[], object]:
    matrix = np.random.default_rng(n).normal(size=(n, n))
    return lambda: np.linalg.slogdet(matrix)


def triangle(n: int) -> Callable[[], object]:
    diagonal = np.random.default_rng(n).uniform(0.5, 2.0, n)
    return lambda: np.log(diagonal).sum()


def seconds(work: Callable[[], object]) -> float:
    """The best time of a call, of as many as fit, at least three."""
    best, spent, calls = np.inf, 0.0, 0
    while spent < SECONDS or calls < 3:
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        best, spent, calls = min(best, took), spent + took, calls + 1
    return best


def slope(sizes: NDArray[np.int64], times: NDArray[np.float64]) -> float:
    """The power of n that the upper end of a line grows by."""
    return float(np.polyfit(np.log(sizes[-SLOPE_OVER:]), np.log(times[-SLOPE_OVER:]), 1)[0])


def measured(sizes: NDArray[np.int64], work: Callable[[int], Callable[[], object]]) -> NDArray[np.float64]:
    with threadpool_limits(1):
        return np.array([seconds(work(int(n))) for n in sizes])


def picture(full_times: NDArray[np.float64], triangle_times: NDArray[np.float64]) -> Figure:
    """Draw both lines and, dashed, the powers they tend to."""
    figure = new_figure((6.4, 4.6))
    axes = figure.subplots()
    tidy(axes)
    for sizes, times, power, colour, name, named_at in (
        (FULL, full_times, 3, TRUTH, "full matrix, by factoring", -1),
        (TRIANGLE, triangle_times, 1, MODEL, "triangle, by its diagonal", -7),
    ):
        ideal = times[-1] * (sizes / sizes[-1]) ** float(power)
        shown = ideal > 3e-7
        axes.plot(sizes[shown], ideal[shown], "--", color=MUTED, linewidth=1)
        axes.text(
            0.9 * sizes[shown][0], ideal[shown][0], "n³" if power == 3 else "n", color=MUTED, fontsize=9, ha="right"
        )
        axes.plot(sizes, times, "o-", color=colour, linewidth=1.6, markersize=3.5)
        axes.annotate(
            f"{name}\nslope {slope(sizes, times):.2f}",
            (sizes[named_at], times[named_at]),
            xytext=(10, -6),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
        )
    axes.set(xscale="log", yscale="log", xlim=(10, 3e6), ylim=(3e-7, None))
    axes.set_xlabel("columns n", fontsize=9, color=INK)
    axes.set_ylabel("seconds for one log-determinant", fontsize=9, color=INK)
    return figure


def main() -> None:
    full_times, triangle_times = measured(FULL, full), measured(TRIANGLE, triangle)
    for name, sizes, times in (("full matrix", FULL, full_times), ("triangle", TRIANGLE, triangle_times)):
        at = int(np.searchsorted(sizes, 4096))
        print(f"{name}: slope {slope(sizes, times):.2f}; {times[at]:.3g} s for n = 4096")
    save_figure(picture(full_times, triangle_times), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
