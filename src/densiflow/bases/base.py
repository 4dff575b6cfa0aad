"""The interface of a base: the simple distribution of z."""

from abc import abstractmethod
from typing import ClassVar, Self

import equinox as eqx
from jax import Array
from jax.typing import ArrayLike

from densiflow.spaces import REAL, Space


class Base(eqx.Module):
    """A distribution with a density and a sampler, of one row.

    Shapes: ``z`` (dim,); ``context`` (context_dim,) or None; ``log_prob`` (). Outside its support a base's
    log density is -inf, never NaN. Parameters that are not learned stand in a `Fixed` node.
    """

    dim: eqx.AbstractVar[int]
    context_dim: eqx.AbstractVar[int]
    needs_data: ClassVar[bool] = False  # whether `initialise` does anything

    @abstractmethod
    def log_prob(self, z: Array, context: Array | None = None) -> Array:
        """Log density of one row, in nats."""

    @abstractmethod
    def sample(self, key: Array, context: Array | None = None) -> Array:
        """One row (dim,) drawn with a JAX random key, reparametrised."""

    def initialise(self, z: ArrayLike, weight: ArrayLike) -> Self:
        """A new base set from rows (n, dim) and their weights (n,) before training; the same one unless it needs it."""
        return self

    @property
    def support(self) -> Space:
        """Where the density is positive."""
        return REAL

    @property
    def is_movable(self) -> bool:
        """Whether rows may be shifted and scaled on their way here, as standardising does."""
        return self.support == REAL

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Awkward members of the class, by name, for the laws to be tried on."""
        return {}
