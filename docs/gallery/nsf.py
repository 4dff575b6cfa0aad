"""One rational-quadratic spline: the map, its slope, and that its other direction brings every number back."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from densiflow.judge import save_figure
from densiflow.judge.style import MODEL, MUTED, TRUTH, new_figure, tidy, title_at_left
from densiflow.scalars import RationalQuadraticSpline

HERE = Path(__file__).parent
SPLINE = RationalQuadraticSpline(bins=8, bound=3.0)
THETA = jnp.asarray(0.9 * np.random.default_rng(4).normal(size=SPLINE.parameters), jnp.float32)
REACH = 4.5  # of the axes, beyond the box


def values() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers x, what the spline sends them to, its slope there, and what the other direction makes of it."""
    x = jnp.linspace(-REACH, REACH, 2001)
    z, log_slope = SPLINE.to_base(x, THETA)
    back, _ = SPLINE.to_data(z, THETA)
    return tuple(np.asarray(part, np.float64) for part in (x, z, jnp.exp(log_slope), back))


def picture() -> Figure:
    """Draw the map and its mirror image, the slope beside finite differences, and the error of going there and back."""
    x, z, slope, back = values()
    figure = new_figure((11.0, 3.8))
    both, steep, error = figure.subplots(1, 3)
    both.plot([-REACH, REACH], [-REACH, REACH], color=MUTED, linewidth=0.8)
    both.plot(x, z, color=MODEL, linewidth=1.8, label="to base")
    both.plot(z, back, color=TRUTH, linewidth=1.8, label="to data")
    both.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xlabel="number given", ylabel="number returned")
    both.set_box_aspect(1)
    steep.plot(x, slope, color=MODEL, linewidth=1.8, label="slope returned")
    steep.plot(x[1:-1], (z[2:] - z[:-2]) / (x[2:] - x[:-2]), ":", color=TRUTH, linewidth=1.8, label="finite difference")
    steep.set(xlabel="x", ylabel="dz / dx", yscale="log")
    spacing = np.spacing(np.float32(SPLINE.bound)) * np.maximum(1, 1 / slope)
    error.plot(x, np.abs(back - x) + 1e-9, ".", color=MODEL, markersize=2.5, label="|to data(to base(x)) - x|")
    error.plot(x, spacing, color=TRUTH, linewidth=1.2, label="spacing of floats, over the slope below 1")
    error.set(xlabel="x", ylabel="error", yscale="log", ylim=(1e-8, 1e-4))
    for axes, title in ((both, "the map"), (steep, "its slope"), (error, "there and back in float32")):
        axes.margins(x=0)
        tidy_log(axes)
        title_at_left(axes, title)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        if axes is not both:
            axes.axvspan(-SPLINE.bound, SPLINE.bound, color="#f3f5f7", zorder=-1)
    print(f"largest error of going there and back: {np.abs(back - x).max():.1e}")
    return figure


def tidy_log(axes) -> None:
    """Tidy axes that may be logarithmic, which take no number of ticks."""
    if axes.get_yscale() == "linear":
        tidy(axes)
    else:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set(color=MUTED, linewidth=0.8)
        axes.tick_params(which="both", labelsize=7.5, color=MUTED)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_fontsize(9)


def main() -> None:
    save_figure(picture(), HERE / "nsf.png")


if __name__ == "__main__":
    main()
