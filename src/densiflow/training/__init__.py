"""Training: maximum likelihood with early stopping, in one compiled program of a fixed number of steps."""

from densiflow.training.fit import fit as fit
from densiflow.training.history import History as History

__all__ = ["History", "fit"]
