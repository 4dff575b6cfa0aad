"""A bijection read the other way."""

from typing import Self, final

import equinox as eqx
import numpy as np
from jax import Array

from densiflow.bijections.base import Bijection
from densiflow.bijections.elementwise import Elementwise
from densiflow.spaces import Space


@final
class Inverse(Bijection):
    r"""Swap the two directions of a bijection.

    .. math:: z = f(x) \;\text{ where } f \text{ took base to data}, \qquad \log|\det|_\text{to base} = \log|\det f'|

    An inverse autoregressive flow is the `Inverse` of a masked autoregressive one: sampling becomes one pass,
    scoring of foreign rows the slow direction.

    Shapes: those of the bijection inside.

    Source: Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", section 3.

    >>> import jax.numpy as jnp
    >>> Inverse(Elementwise([1.0], [2.0])).to_base(jnp.array([3.0]))[0].tolist()
    [7.0]
    """

    inner: Bijection
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, inner: Bijection) -> None:
        self.inner = inner
        self.dim, self.context_dim = inner.dim, inner.context_dim

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.inner.to_data(x, context)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.inner.to_base(z, context)

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.inner.to_data_columns(x, context)

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.inner.to_base_columns(z, context)

    @property
    def domain(self) -> Space:
        return self.inner.codomain

    @property
    def codomain(self) -> Space:
        return self.inner.domain

    def dependence(self) -> np.ndarray | None:
        pattern = self.inner.dependence()
        if pattern is None:
            return None
        # z = f(x) depends along every path of the inverse's graph: for a triangle its closure, for a permutation
        # the transpose. The pattern of an inverse is that of a generic matrix with the same zeros, inverted.
        generic = np.where(pattern, np.random.default_rng(0).uniform(1.0, 2.0, pattern.shape), 0.0)
        return np.asarray(np.abs(np.linalg.inv(generic)) > 1e-12)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        from densiflow.bijections.autoregressive import Autoregressive

        members: dict[str, Bijection] = {
            "elementwise": Elementwise([1.0, -2.0], [0.5, 3.0]),
            "autoregressive with context": Autoregressive(key, 3, 2, hidden=(7,), activation="tanh", start="random"),
        }
        return {name: cls(member) for name, member in members.items()}
