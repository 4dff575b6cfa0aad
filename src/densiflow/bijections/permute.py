"""Reorder the columns of a row."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.bijections.base import Bijection
from densiflow.errors import ArgumentError


def checked_permutation(permutation: ArrayLike, dim: int | None = None) -> Array:
    """The permutation as int32 (dim,); `ArgumentError` unless it holds each of 0 .. dim - 1 once."""
    if not isinstance(permutation, jax.core.Tracer):
        given = np.asarray(permutation)
        width = given.size if dim is None else dim
        if given.ndim != 1 or sorted(given.tolist()) != list(range(width)) or given.size == 0:
            last = "dim - 1" if dim is None else dim - 1
            raise ArgumentError(f"a permutation holds each of 0 .. {last} once, got {given.tolist()}")
    return jnp.asarray(permutation, jnp.int32)


@final
class Permute(Bijection):
    r"""Reorder columns; volume does not change.

    .. math:: z_i = x_{\pi(i)}, \qquad \log\left|\det\right| = 0

    Shapes: ``permutation`` (dim,), int32, each of 0 .. dim - 1 once. It is an array, so it is saved with the
    flow. Raises `ArgumentError` if it is not a permutation.

    Source: Papamakarios et al. 2021, section 3.1.1 (permutations between autoregressive layers).

    >>> Permute([2, 0, 1]).to_base(jnp.array([10.0, 20.0, 30.0]))[0].tolist()
    [30.0, 10.0, 20.0]
    """

    permutation: Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, permutation: ArrayLike) -> None:
        self.permutation = checked_permutation(permutation)
        self.dim = self.permutation.shape[0]
        self.context_dim = 0

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return x[self.permutation], jnp.zeros((), x.dtype)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return z[jnp.argsort(self.permutation)], jnp.zeros((), z.dtype)

    def dependence(self) -> np.ndarray:
        return np.eye(self.dim, dtype=bool)[np.asarray(self.permutation)]

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {"one column": cls([0]), "a cycle, not its own inverse": cls([2, 0, 1]), "reverse": cls([4, 3, 2, 1, 0])}
