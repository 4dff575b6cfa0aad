"""Where a row may lie: the declared domain of a bijection and the support of a base."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Space:
    """An open box, the same on every axis: ``lower < x_i < upper``.

    >>> REAL.contains([0.0, -3.0]), POSITIVE.contains([1.0, -3.0])
    (True, False)
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf

    def contains(self, x: ArrayLike) -> bool:
        """Whether every number of `x` lies strictly inside."""
        x = np.asarray(x)
        return bool(np.all((x > self.lower) & (x < self.upper)))

    def outside(self, x: Array) -> Array:
        """(rows,) booleans for x (rows, dim): whether a number of the row lies outside; NaN counts as neither."""
        return jnp.any((x <= self.lower) | (x >= self.upper), axis=-1)

    @property
    def interior(self) -> float:
        """Some number inside."""
        if np.isfinite(self.lower) and np.isfinite(self.upper):
            return (self.lower + self.upper) / 2
        if np.isfinite(self.lower):
            return self.lower + 1.0
        return self.upper - 1.0 if np.isfinite(self.upper) else 0.0

    def reaches(self, other: "Space") -> bool:
        """Whether this space holds all of `other`."""
        return self.lower <= other.lower and other.upper <= self.upper


REAL = Space("real")
POSITIVE = Space("positive", lower=0.0)
