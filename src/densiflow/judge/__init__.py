"""Is the density right? A report on a fit, the checks and pictures it is made of, and simpler densities to beat."""

from densiflow.judge.base_space import BaseSpace as BaseSpace
from densiflow.judge.base_space import base_space as base_space
from densiflow.judge.base_space import normal_scores as normal_scores
from densiflow.judge.baselines import gaussian as gaussian
from densiflow.judge.baselines import gaussian_mixture as gaussian_mixture
from densiflow.judge.calibration import Calibration as Calibration
from densiflow.judge.calibration import Coverage as Coverage
from densiflow.judge.calibration import calibration as calibration
from densiflow.judge.calibration import coverage as coverage
from densiflow.judge.correlations import Correlations as Correlations
from densiflow.judge.correlations import correlations as correlations
from densiflow.judge.evidence import Absent as Absent
from densiflow.judge.evidence import Evidence as Evidence
from densiflow.judge.evidence import examine as examine
from densiflow.judge.grids import compared as compared
from densiflow.judge.journey import journey as journey
from densiflow.judge.journey import journey_panels as journey_panels
from densiflow.judge.journey import save_journey as save_journey
from densiflow.judge.latent import data_beside_model as data_beside_model
from densiflow.judge.latent import latent_space as latent_space
from densiflow.judge.likelihood import Likelihood as Likelihood
from densiflow.judge.likelihood import likelihood as likelihood
from densiflow.judge.marginals import Marginal as Marginal
from densiflow.judge.marginals import marginals as marginals
from densiflow.judge.nearest_rows import NearestRows as NearestRows
from densiflow.judge.nearest_rows import nearest_rows as nearest_rows
from densiflow.judge.plots import conditional_density as conditional_density
from densiflow.judge.plots import corner as corner
from densiflow.judge.plots import density_contours as density_contours
from densiflow.judge.plots import save_figure as save_figure
from densiflow.judge.plots import training_curve as training_curve
from densiflow.judge.report import report as report
from densiflow.judge.round_trip import round_trip as round_trip
from densiflow.judge.surprising_rows import SurprisingRow as SurprisingRow
from densiflow.judge.surprising_rows import surprising_rows as surprising_rows
from densiflow.judge.two_sample import TwoSample as TwoSample
from densiflow.judge.two_sample import two_sample as two_sample
from densiflow.judge.verdict import Finding as Finding
from densiflow.judge.verdict import Verdict as Verdict
from densiflow.judge.verdict import verdict as verdict

__all__ = [
    "Absent",
    "BaseSpace",
    "Calibration",
    "Correlations",
    "Coverage",
    "Evidence",
    "Finding",
    "Likelihood",
    "Marginal",
    "NearestRows",
    "SurprisingRow",
    "TwoSample",
    "Verdict",
    "base_space",
    "calibration",
    "compared",
    "conditional_density",
    "corner",
    "correlations",
    "coverage",
    "data_beside_model",
    "density_contours",
    "examine",
    "gaussian",
    "gaussian_mixture",
    "journey",
    "journey_panels",
    "latent_space",
    "likelihood",
    "marginals",
    "nearest_rows",
    "normal_scores",
    "report",
    "round_trip",
    "save_figure",
    "save_journey",
    "surprising_rows",
    "training_curve",
    "two_sample",
    "verdict",
]
