"""The interface of every bijection, and what each declares about itself."""

from abc import abstractmethod
from typing import ClassVar, Protocol, Self, final

import equinox as eqx
import jax
import numpy as np
from jax import Array

from densiflow.spaces import REAL, Space


class Bijection(eqx.Module):
    r"""An invertible map between a row of data `x` and a row in base space `z`, with both log-determinants.

    .. math:: \log p_X(x) = \log p_Z(z) + \log\left|\det \frac{\partial z}{\partial x}\right|

    Directions are named by where they land. Each returns ``(value, log_det)``, where `log_det` is the
    log-absolute-determinant of the direction just taken. `to_base` and `to_data` take one row and are the
    reference meaning. Many rows go through `to_base_columns` and `to_data_columns`, a column of the table being one
    piece of memory; these may be overridden by something faster, which a law holds equal to the one-row form.
    `to_base_rows` and `to_data_rows` are the same for rows as tables hold them.

    Shapes: ``x, z`` (dim,); ``context`` (context_dim,) or None; ``log_det`` ().

    To add one: a file in this folder with a final subclass, its import line in ``__init__`` (which registers
    it), and `examples`. Fields that are not arrays are static. Any real value in any floating leaf must be a
    valid bijection: store scales as logs.

    Source: Papamakarios et al. 2021, "Normalizing flows for probabilistic modeling and inference", eq. 5.
    """

    dim: eqx.AbstractVar[int]
    context_dim: eqx.AbstractVar[int]
    needs_data: ClassVar[bool] = False  # whether `initialise` does anything

    @abstractmethod
    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """One row of data to base space: ``(z, log_det)``."""

    @abstractmethod
    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """One row in base space to data: ``(x, log_det)``."""

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Many rows side by side: x (dim, n), context (c, n) to ``(z, log_det)`` of shapes (dim, n) and (n,)."""
        return jax.vmap(self.to_base, in_axes=1, out_axes=(1, 0))(x, context)

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Many rows side by side: z (dim, n), context (c, n) to ``(x, log_det)`` of shapes (dim, n) and (n,)."""
        return jax.vmap(self.to_data, in_axes=1, out_axes=(1, 0))(z, context)

    @final
    def to_base_rows(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Many rows: (n, dim) to ``(z, log_det)`` of shapes (n, dim) and (n,)."""
        z, log_det = self.to_base_columns(x.T, None if context is None else context.T)
        return z.T, log_det

    @final
    def to_data_rows(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Many rows: (n, dim) to ``(x, log_det)`` of shapes (n, dim) and (n,)."""
        x, log_det = self.to_data_columns(z.T, None if context is None else context.T)
        return x.T, log_det

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """A new bijection set from rows of data before training; the same one unless a class needs it."""
        return self

    @property
    def domain(self) -> Space:
        """Where `x` may lie."""
        return REAL

    @property
    def codomain(self) -> Space:
        """Where `z` lands."""
        return REAL

    def dependence(self) -> np.ndarray | None:
        """(dim, dim) booleans: entry ``[i, j]`` says whether ``z_i`` depends on ``x_j``; None declares nothing."""
        return None

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        """Awkward members of the class, by name, for the laws to be tried on."""
        return {}


class TakesContext(Protocol):
    """A bijection or a base."""

    @property
    def context_dim(self) -> int:
        """Width of the context; 0 takes none."""


def context_for(member: TakesContext, context: Array | None) -> Array | None:
    """The context as one member of a composition takes it: None where it takes none."""
    return context if member.context_dim else None
