"""Several bijections, one after another."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.bijections.base import Bijection, context_for
from densiflow.bijections.elementwise import Elementwise
from densiflow.bijections.permute import Permute
from densiflow.errors import ArgumentError, ContextError, ShapeError
from densiflow.spaces import Space


def check_meeting(before: Bijection, after: Bijection, first: str, second: str) -> None:
    """Raise `ArgumentError` unless one bijection lands on the very rows that the next one takes."""
    lands, takes = before.codomain, after.domain
    if not (lands.reaches(takes) and takes.reaches(lands)):
        raise ArgumentError(
            f"{first} ({type(before).__name__}) lands on {lands.name} rows, "
            f"but {second} ({type(after).__name__}) takes {takes.name} ones"
        )


@final
class Chain(Bijection):
    r"""Compose bijections, listed from data to base.

    .. math:: z = f_K(\dots f_2(f_1(x))), \qquad \log|\det| = \sum_k \log|\det f_k'|

    Every member that takes a context receives the same one. The members may all differ; for many equal layers
    `Stack` compiles in the time of one.

    Shapes: every member has the same ``dim``. Raises `ArgumentError` for no members or one that does not take the
    rows that the one before it lands on, `ShapeError` where widths differ, `ContextError` where context widths differ.

    Source: Papamakarios et al. 2021, eq. 7 and 8.

    >>> double = Elementwise([0.0], [2.0])
    >>> Chain([double, double]).to_data(jnp.array([1.0]))[0].tolist()
    [4.0]
    """

    members: tuple[Bijection, ...]
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, members: Sequence[Bijection]) -> None:
        self.members = tuple(members)
        if not self.members:
            raise ArgumentError("a chain needs at least one bijection, got none")
        dims = [member.dim for member in self.members]
        if len(set(dims)) > 1:
            raise ShapeError(f"every bijection of a chain must have the same dim, got {dims}")
        contexts = {member.context_dim for member in self.members} - {0}
        if len(contexts) > 1:
            raise ContextError(f"bijections of a chain must take the same context, got widths {sorted(contexts)}")
        for k, (before, after) in enumerate(pairwise(self.members)):
            check_meeting(before, after, f"member {k} of the chain", f"member {k + 1}")
        self.dim, self.context_dim = dims[0], max(contexts, default=0)

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        total = jnp.zeros((), x.dtype)
        for member in self.members:
            x, log_det = member.to_base(x, context_for(member, context))
            total += log_det
        return x, total

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        total = jnp.zeros((), z.dtype)
        for member in reversed(self.members):
            z, log_det = member.to_data(z, context_for(member, context))
            total += log_det
        return z, total

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        total = jnp.zeros(x.shape[1:], x.dtype)
        for member in self.members:
            x, log_det = member.to_base_columns(x, context_for(member, context))
            total += log_det
        return x, total

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        total = jnp.zeros(z.shape[1:], z.dtype)
        for member in reversed(self.members):
            z, log_det = member.to_data_columns(z, context_for(member, context))
            total += log_det
        return z, total

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether any member is set from data."""
        return any(member.needs_data for member in self.members)

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """Set each member from the rows as the members before it leave them."""
        done = []
        for member in self.members:
            done.append(member.initialise(x, context_for(member, context)))
            x, _ = done[-1].to_base_rows(x, context_for(member, context))
        return type(self)(done)

    @property
    def domain(self) -> Space:
        return self.members[0].domain

    @property
    def codomain(self) -> Space:
        return self.members[-1].codomain

    def dependence(self) -> np.ndarray | None:
        pattern = np.eye(self.dim, dtype=bool)
        for member in self.members:
            step = member.dependence()
            if step is None:
                return None
            pattern = step @ pattern
        return pattern

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        from densiflow.bijections.autoregressive import Autoregressive

        layer = Autoregressive(key, 3, 2, hidden=(8,), activation="tanh", start="random")
        scale = Elementwise([1.0, -1.0, 0.5], [2.0, 0.3, 1.0])
        return {
            "order matters": cls([Elementwise([1.0, 2.0], [3.0, 0.5]), Permute([1, 0])]),
            "context for one member only": cls([scale, Permute([2, 0, 1]), layer]),
        }
