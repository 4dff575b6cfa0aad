"""Is the density right? Pictures of a fit, and simpler densities to beat."""

from densiflow.judge.baselines import gaussian as gaussian
from densiflow.judge.baselines import gaussian_mixture as gaussian_mixture
from densiflow.judge.journey import journey as journey
from densiflow.judge.journey import journey_panels as journey_panels
from densiflow.judge.journey import save_journey as save_journey
from densiflow.judge.latent import data_beside_model as data_beside_model
from densiflow.judge.latent import latent_space as latent_space
from densiflow.judge.plots import conditional_density as conditional_density
from densiflow.judge.plots import corner as corner
from densiflow.judge.plots import density_contours as density_contours
from densiflow.judge.plots import save_figure as save_figure
from densiflow.judge.plots import training_curve as training_curve
from densiflow.judge.round_trip import round_trip as round_trip

__all__ = [
    "conditional_density",
    "corner",
    "data_beside_model",
    "density_contours",
    "gaussian",
    "gaussian_mixture",
    "journey",
    "journey_panels",
    "latent_space",
    "round_trip",
    "save_figure",
    "save_journey",
    "training_curve",
]
