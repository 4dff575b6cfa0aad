"""The small pictures of a report, one panel each, so that a phone shows them as well as a desk."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from densiflow.judge.base_space import BaseSpace
from densiflow.judge.calibration import Calibration, Coverage
from densiflow.judge.columns import Cells
from densiflow.judge.correlations import Correlations
from densiflow.judge.marginals import Marginal
from densiflow.judge.nearest_rows import NearestRows
from densiflow.judge.regions import plot_limits
from densiflow.judge.style import DATA, DATA_SHADES, INK, MODEL, MUTED, TRUTH, new_figure, tidy, title_at_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[Any]

SMALL = (3.1, 2.2)
MIDDLE = (4.4, 2.9)
MOST_BARS = 12
LONGEST_NAME = 34  # of a column over a panel


def marginal_picture(marginal: Marginal) -> "Figure":
    """One column: data shaded, samples as a line; bars where there are few values.

    >>> from densiflow.judge import marginals
    >>> [found] = marginals(np.arange(90.0)[:, None], np.arange(90.0)[:, None])
    >>> marginal_picture(found).axes[0].get_title(loc="left")
    'column 0'
    """
    figure = new_figure(SMALL)
    axes = figure.add_subplot()
    tidy(axes)
    draw_marginal(axes, marginal)
    return figure


def draw_marginal(axes: "Axes", marginal: Marginal) -> None:
    """One column into a panel."""
    data, samples = marginal.data, marginal.samples
    values = np.unique(np.concatenate([data.present, samples.present]))
    if data.is_label or len(values) <= MOST_BARS or not len(data.present):
        _draw_bars(axes, data, samples, values)
    else:
        _draw_histograms(axes, data, samples)
    axes.set_ylim(bottom=0)
    title_at_left(axes, _short(marginal.name))


def calibration_picture(found: Calibration, column: int) -> "Figure":
    """One column's share of transforms at or below each probability, less that probability, in the band."""
    figure = new_figure(SMALL)
    axes = figure.add_subplot()
    tidy(axes)
    draw_calibration(axes, found, column)
    return figure


def draw_calibration(axes: "Axes", found: Calibration, column: int) -> None:
    """One column's line and its band into a panel."""
    grid = np.concatenate([[0.0], found.grid, [1.0]])
    lower, upper, share = (
        np.concatenate([[0.0], line, [1.0]]) - grid for line in (found.lower, found.upper, found.share[column])
    )
    axes.fill_between(grid, lower, upper, color=DATA_SHADES[0], linewidth=0)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.plot(grid, share, color=TRUTH if found.outside(column) else MODEL, linewidth=1.5)
    reach = 1.15 * max(np.abs(share).max(), np.abs(upper).max(), np.abs(lower).max())
    axes.set(xlim=(0, 1), ylim=(-reach, reach))
    axes.set_xlabel("probability", fontsize=8, color=INK)
    axes.set_ylabel("share less probability", fontsize=8, color=INK)
    title_at_left(axes, _short(found.names[column]))


def coverage_picture(found: Coverage) -> "Figure":
    """The share of cells in intervals of each nominal probability, all columns together and each by itself."""
    figure, axes = _panel(MIDDLE, "coverage of central intervals")
    nominal = np.asarray(found.nominal)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    for k, share in enumerate(found.share):
        axes.plot(nominal, share, color=DATA_SHADES[1], linewidth=0.9, label=None if k else "each column")
    axes.errorbar(
        nominal, found.pooled, 2 * found.error, color=MODEL, linewidth=1.5, marker="o", markersize=3.5, label="all"
    )
    low = max(0.0, min(nominal.min(), found.share.min()) - 0.05)
    axes.set(xlim=(low, 1.01), ylim=(low, 1.01), xlabel="nominal probability", ylabel="share inside")
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK, loc="upper left")
    return figure


def radius_picture(found: BaseSpace) -> "Figure":
    """Squared radii of base space against the quantiles of the chi-squared distribution."""
    from scipy.stats import chi2

    figure, axes = _panel(MIDDLE, "squared radius in base space")
    n, columns = found.scores.shape
    expected = chi2(columns).ppf((np.arange(n) + 0.5) / n)
    top = 1.05 * max(expected[-1], np.quantile(found.radius, 0.998))
    axes.plot([0, top], [0, top], color=MUTED, linewidth=0.8)
    axes.plot(expected, found.radius, ".", color=MODEL, markersize=2.5, markeredgewidth=0)
    axes.set(xlim=(0, 1.05 * expected[-1]), ylim=(0, top), xlabel="expected of a right model", ylabel="held-out rows")
    return figure


def normal_picture(found: BaseSpace) -> "Figure":
    """The quantiles of each base column against those of the standard normal; the farthest in orange."""
    from scipy.stats import norm

    figure, axes = _panel(MIDDLE, "columns of base space")
    n = len(found.scores)
    places = np.unique(np.linspace(0, n - 1, 400).astype(int))
    expected = norm.ppf((places + 0.5) / n)
    ends = expected[[0, -1]] * 1.1
    axes.plot(ends, ends, color=MUTED, linewidth=0.8)
    order = np.argsort(found.distance)
    for column in order:
        worst = column == found.worst
        look: dict[str, Any] = {"color": TRUTH, "linewidth": 1.5} if worst else {"color": MODEL, "linewidth": 0.7}
        label = f"farthest: {_short(found.names[column])}" if worst else None
        axes.plot(expected, np.sort(found.scores[:, column])[places], label=label, **look)
    axes.set(xlim=ends, ylim=1.3 * ends, xlabel="standard normal", ylabel="held-out rows")
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK, loc="upper left")
    return figure


def densities_picture(data: Floats, samples: Floats) -> "Figure":
    """Log densities of held-out rows beside those of the model's own samples."""
    figure, axes = _panel(MIDDLE, "log density of each row")
    columns = (Cells("", data), Cells("", samples))
    _draw_histograms(axes, *columns, limits=plot_limits(np.concatenate([data, samples])))
    axes.set(xlabel="nats")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK, loc="upper left")
    return figure


def nearest_picture(found: NearestRows) -> "Figure":
    """Distances to the nearest row, from data and from samples."""
    figure, axes = _panel(MIDDLE, f"distance to the nearest of the {found.reference}")
    limits = (0.0, 1.05 * float(np.quantile(np.concatenate([found.data, found.samples]), 0.99)) or 1.0)
    _draw_histograms(axes, Cells("", found.data), Cells("", found.samples), limits=limits)
    axes.set(xlabel="distance, in standard deviations")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
    return figure


def correlations_picture(found: Correlations) -> "Figure":
    """Dependence in the samples less that in the data, a cell for each pair of columns."""
    count = len(found.names)
    size = min(max(3.6, 1.6 + 0.32 * count), 7.0)
    figure, axes = _panel((size + 0.6, size), "samples less data")
    reach = max(0.1, found.largest)
    lower = np.tril(np.ones((count, count), bool), -1)
    image = axes.imshow(np.where(lower, found.difference, np.nan), cmap="PuOr_r", vmin=-reach, vmax=reach)
    names = [_short(name, 16) for name in found.names]
    axes.set_xticks(range(count - 1), names[:-1], rotation=90)
    axes.set_yticks(range(1, count), names[1:])
    axes.set(xlim=(-0.5, count - 1.5), ylim=(count - 0.5, 0.5))
    axes.tick_params(length=0, labelsize=7 if count <= 20 else 5)
    axes.spines[["left", "bottom"]].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.03, shrink=0.8)
    bar.ax.tick_params(labelsize=7, colors=INK, length=2)
    bar.outline.set_visible(False)
    if count <= 10:
        for i, j in zip(*np.nonzero(lower), strict=True):
            value = found.difference[i, j]
            dark = abs(value) > 0.6 * reach
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color="white" if dark else INK)
    return figure


def importance_picture(names: tuple[str, ...], importance: tuple[float, ...]) -> "Figure":
    """By how much the classifier's accuracy falls when each column is shuffled, largest first."""
    names, importance = names[:MOST_BARS], importance[:MOST_BARS]
    figure, axes = _panel((4.4, 0.9 + 0.24 * len(names)), "accuracy lost when a column is shuffled")
    places = np.arange(len(names))[::-1]
    axes.barh(places, importance, color=MODEL, height=0.6)
    axes.set_yticks(places, [_short(name, 24) for name in names])
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    return figure


def _panel(size: tuple[float, float], title: str) -> "tuple[Figure, Axes]":
    figure = new_figure(size)
    axes = figure.add_subplot()
    tidy(axes)
    title_at_left(axes, title)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    return figure, axes


def _short(name: str, most: int = LONGEST_NAME) -> str:
    """A column's name on one line, none of it mathematics to matplotlib."""
    plain = " ".join(name.split()).replace("$", r"\$")
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _draw_histograms(axes: "Axes", data: Cells, samples: Cells, limits: tuple[float, float] | None = None) -> None:
    """Data shaded, samples as a line, both as shares of all rows in cells of one width."""
    low, high = limits or plot_limits(np.concatenate([data.present, samples.present]), 0.995)
    edges = np.linspace(low, high, int(np.clip(2 * min(len(data.present), len(samples.present)) ** (1 / 3), 12, 50)))
    middles = (edges[1:] + edges[:-1]) / 2
    shares = [np.histogram(cells.present, edges)[0] / len(cells.values) for cells in (data, samples)]
    axes.stairs(shares[0], edges, fill=True, facecolor=DATA_SHADES[0], edgecolor=DATA, label="held out")
    axes.stairs(shares[1], edges, color=MODEL, linewidth=1.4, label="samples")
    axes.set(xlim=(low, high), yticks=[])
    axes.spines["left"].set_visible(False)
    if data.meaning in ("date", "time"):
        ticks = middles[[len(middles) // 8, -len(middles) // 8]]
        axes.set_xticks(ticks, [data.shown(tick)[:10] for tick in ticks])


def _draw_bars(axes: "Axes", data: Cells, samples: Cells, values: Floats) -> None:
    """Shares of the commonest values, of the rest together, and of missing cells: data beside samples."""
    columns = (data, samples)
    shares = [np.array([np.sum(cells.present == value) for value in values]) / len(cells.values) for cells in columns]
    order = (
        np.sort(np.argsort(-(shares[0] + shares[1]), kind="stable")[:MOST_BARS]) if len(values) else np.array([], int)
    )
    names = [data.shown(value) for value in values[order]]
    heights = [share[order] for share in shares]
    rest = [share.sum() - height.sum() for share, height in zip(shares, heights, strict=True)]
    for name, pair in (("others", rest), ("missing", [cells.missing for cells in columns])):
        if max(pair) > 1e-12:
            names.append(name)
            heights = [np.append(height, share) for height, share in zip(heights, pair, strict=True)]
    places = np.arange(len(names))
    axes.bar(places - 0.2, heights[0], 0.4, color=DATA_SHADES[1], label="held out")
    axes.bar(places + 0.2, heights[1], 0.4, color=MODEL, label="samples")
    long = max((len(name) for name in names), default=0) * len(names) > 34
    axes.set_xticks(places, [_short(name, 12) for name in names], rotation=90 if long else 0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
