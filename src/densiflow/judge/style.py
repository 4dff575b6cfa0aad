"""One look for every picture: data is grey, the model blue, the truth and what to look at orange."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
INK, MUTED = "#2b2f36", "#8a9099"
DATA, MODEL, TRUTH = "#7d848e", "#0072b2", "#d55e00"  # blue and orange of Okabe and Ito: told apart by everyone
DATA_SHADES = ["#e0e3e7", "#b9bfc7"]
MODEL_SHADES = ["#eaf3f9", "#cfe4f2", "#a3cbe5", "#6aadd5", "#3289c2", "#0b63a0", "#08406e"]


def new_figure(size: tuple[float, float]) -> "Figure":
    """Make an empty white figure of that size in inches, drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: "Axes") -> None:
    """Leave a thin frame on two sides and few small ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=MUTED, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=7.5, width=0.8, length=3, color=MUTED)
    axes.locator_params(nbins=5)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=9)


def title_at_left(axes: "Axes", words: str) -> None:
    """Put a small title over the left edge."""
    axes.set_title(words, loc="left", fontsize=9, color=INK)
