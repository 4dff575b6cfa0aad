"""Probabilities of classes made honest by rows that no density was fitted to."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.float64]

LEAST = 1e-3  # of the temperature's inverse
DOUBT = 1.0  # how much each correction is drawn to none, in rows


@dataclass(frozen=True)
class Calibration:
    r"""One factor for all log odds, and one summand for each class.

    .. math:: p(k \mid x) \propto \exp\bigl(s \,(\log p(x \mid k) + \log \pi_k) + b_k\bigr)

    s = 1 and b = 0 is Bayes' rule as it stands. A density's errors add up over its columns, so its log odds are
    usually too large, s below 1.

    Shapes: ``scores`` (n, classes) are log p(x | k) + log pi_k, ``codes`` (n,) the classes' places, ``bias``
    (classes,).

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2 (temperature and bias).

    >>> calibration = Calibration.fit(np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]] * 9), np.array([0, 1, 1] * 9))
    >>> calibration.factor < 0.2
    True
    """

    factor: float
    bias: Floats

    @classmethod
    def none(cls, classes: int) -> Self:
        """Bayes' rule as it stands."""
        return cls(1.0, np.zeros(classes))

    @classmethod
    def fit(cls, scores: Floats, codes: NDArray[np.integer], weight: Floats | None = None) -> Self:
        """The corrections most likely on held-out rows, each drawn to none by one row's worth of doubt."""
        from scipy.optimize import minimize

        scores = _finite(scores)
        share = np.ones(len(codes)) if weight is None else weight / weight.mean()
        hit = np.zeros(scores.shape)
        hit[np.arange(len(codes)), codes] = 1.0

        def loss(parameters: Floats) -> tuple[Any, Floats]:
            log_p = log_softmax(parameters[0] * scores + parameters[1:], axis=1)
            miss = share[:, None] * (np.exp(log_p) - hit)
            away = parameters - np.eye(len(parameters))[0]
            value = -np.sum(share[:, None] * hit * log_p) + 0.5 * DOUBT * away @ away
            return value, np.concatenate([[np.sum(miss * scores)], miss.sum(axis=0)]) + DOUBT * away

        start = np.eye(1 + scores.shape[1])[0]
        bounds = [(LEAST, None)] + [(None, None)] * scores.shape[1]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(float(found[0]), found[1:])

    def log_proba(self, scores: Floats) -> Floats:
        """Log probabilities (n, classes); where no class is possible, those of the bias alone."""
        found: Floats = log_softmax(self.factor * _finite(scores) + self.bias, axis=1)
        return found


def _finite(scores: Floats) -> Floats:
    """Scores from the row's best down; 0 where every class is impossible."""
    best = scores.max(axis=1, keepdims=True)
    return np.where(np.isneginf(best), 0.0, scores - np.where(np.isneginf(best), 0.0, best))
