"""Training, on rows by maximum likelihood or towards a known density, in compiled programs of a fixed size."""

from densiflow.ensemble import Ensemble as Ensemble
from densiflow.training.checkpoint import Checkpoint as Checkpoint
from densiflow.training.fit import fit as fit
from densiflow.training.fit_ensemble import fit_ensemble as fit_ensemble
from densiflow.training.fit_target import fit_target as fit_target
from densiflow.training.history import History as History

__all__ = ["Checkpoint", "Ensemble", "History", "fit", "fit_ensemble", "fit_target"]
