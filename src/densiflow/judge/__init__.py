"""Is the density right? Pictures of a fit, and simpler densities to beat."""

from densiflow.judge.baselines import gaussian as gaussian
from densiflow.judge.baselines import gaussian_mixture as gaussian_mixture
from densiflow.judge.plots import conditional_density as conditional_density
from densiflow.judge.plots import corner as corner
from densiflow.judge.plots import density_contours as density_contours
from densiflow.judge.plots import save_figure as save_figure
from densiflow.judge.plots import training_curve as training_curve

__all__ = [
    "conditional_density",
    "corner",
    "density_contours",
    "gaussian",
    "gaussian_mixture",
    "save_figure",
    "training_curve",
]
