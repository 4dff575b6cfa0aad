"""Training, on rows by maximum likelihood or towards a known density, in compiled programs of a fixed size."""

from densiflow.training.fit import fit as fit
from densiflow.training.fit_target import fit_target as fit_target
from densiflow.training.history import History as History

__all__ = ["History", "fit", "fit_target"]
