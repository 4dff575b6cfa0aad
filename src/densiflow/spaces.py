"""Where a row may lie: the declared domain of a bijection and the support of a base."""

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from densiflow.errors import ArgumentError, ShapeError

Bound = float | tuple[float, ...]


@dataclass(frozen=True)
class Space:
    """An open box, ``lower_i < x_i < upper_i``; a bound is one number for every axis, or one for each.

    Boxes of equal bounds are equal, whatever they are called. Raises `ShapeError` where bounds differ in length,
    `ArgumentError` where no number lies between them.

    >>> REAL.contains([0.0, -3.0]), POSITIVE.contains([1.0, -3.0])
    (True, False)
    >>> Space("a strip", (0.0, -np.inf), (1.0, np.inf)).contains([0.5, -3.0])
    True
    """

    name: str = field(compare=False)
    lower: Bound = -np.inf
    upper: Bound = np.inf

    def __post_init__(self) -> None:
        lengths = {np.size(bound) for bound in (self.lower, self.upper) if np.ndim(bound)}
        if len(lengths) > 1:
            raise ShapeError(f"lower and upper bounds of {self.name} must be of one length, got {sorted(lengths)}")
        if not np.all(np.asarray(self.lower) < np.asarray(self.upper)):
            raise ArgumentError(
                f"{self.name}: every lower bound must lie below its upper bound, got {self.lower} and {self.upper}"
            )
        object.__setattr__(self, "lower", _plain(self.lower))
        object.__setattr__(self, "upper", _plain(self.upper))

    def contains(self, x: ArrayLike) -> bool:
        """Whether every number of `x` (..., dim) lies strictly inside."""
        x = np.asarray(x)
        return bool(np.all((x > self.lower) & (x < self.upper)))

    def outside(self, x: Array) -> Array:
        """(rows,) booleans for x (rows, dim): whether a number of the row lies outside; NaN counts as neither."""
        lower, upper = jnp.asarray(self.lower, x.dtype), jnp.asarray(self.upper, x.dtype)
        return jnp.any((x <= lower) | (x >= upper), axis=-1)

    @property
    def interior(self) -> NDArray[np.float64]:
        """Some row inside: () where the box is the same on every axis, else (dim,)."""
        lower, upper = np.broadcast_arrays(np.asarray(self.lower, float), np.asarray(self.upper, float))
        below, above = np.isfinite(lower), np.isfinite(upper)
        start, end = np.where(below, lower, 0.0), np.where(above, upper, 0.0)
        step = 1.0 + np.abs(start + end)
        half_bounded = np.where(below, start + step, np.where(above, end - step, 0.0))
        return np.where(below & above, start + (end - start) / 2, half_bounded)

    def reaches(self, other: "Space") -> bool:
        """Whether this space holds all of `other`, axis by axis."""
        below = np.asarray(self.lower) <= np.asarray(other.lower)
        return bool(np.all(below) and np.all(np.asarray(other.upper) <= np.asarray(self.upper)))


def _plain(bound: Bound) -> Bound:
    """Hashable, and one number where all are equal, so that a box is written in one way."""
    numbers = {float(number) for number in np.ravel(bound)}
    return numbers.pop() if len(numbers) == 1 else tuple(float(number) for number in np.ravel(bound))


REAL = Space("real")
POSITIVE = Space("positive", lower=0.0)
