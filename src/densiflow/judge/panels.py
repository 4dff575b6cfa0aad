"""One density in one panel."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densiflow.judge.regions import density_levels
from densiflow.judge.style import MODEL_SHADES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[Any]
Limits = tuple[tuple[float, float], tuple[float, float]]

REGIONS = (0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1)  # highest-density regions, one shade each


def density_panel(
    axes: "Axes", log_density: Callable[[Floats], ArrayLike], limits: Limits, resolution: int = 200
) -> tuple[Any, Floats]:
    """Shade the highest-density regions of a density of two columns; gives matplotlib's contours and their heights.

    The shares in `REGIONS` are of what lies inside the limits. A plateau has the darkest shade it belongs to.

    Shapes: ``log_density`` takes (n, 2) to (n,) nats. Raises `ArgumentError` for a density that is zero everywhere
    inside the limits.

    Source: Hyndman 1996, "Computing and graphing highest density regions".

    >>> from matplotlib.figure import Figure
    >>> _, heights = density_panel(Figure().subplots(), lambda x: -0.5 * (x**2).sum(axis=1), ((-5, 5), (-5, 5)))
    >>> heights[[1, 4]].round(2).tolist()  # of a normal with its peak at 1, the lines of 95% and 50%
    [0.05, 0.5]
    """
    first, second = (np.linspace(*limit, resolution) for limit in limits)
    points = np.stack(np.meshgrid(first, second), axis=-1)  # (second, first, 2)
    heights = np.asarray(log_density(points.reshape(-1, 2)), np.float64).reshape(resolution, resolution)
    density = np.exp(heights - max(heights.max(), np.finfo(np.float64).min))  # peak 1, or zero everywhere
    levels = density_levels(density, REGIONS) * (1 - 1e-6)  # below a plateau, which would go unshaded
    filled = axes.contourf(first, second, density, levels=[*levels, levels[-1] + 1.0], colors=MODEL_SHADES)
    axes.set(xlim=limits[0], ylim=limits[1])
    return filled, levels
