"""The exponential of each column."""

from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.arguments import check_count
from densiflow.bijections.base import Bijection
from densiflow.spaces import POSITIVE, Space


@final
class Exp(Bijection):
    r"""Take the exponential of each column: from the real line to the positive numbers.

    .. math:: x_i = e^{z_i}, \qquad \log\left|\det\right|_\text{to data} = \sum_i z_i

    It has no parameters. Its domain is positive: a flow that ends in it has density zero elsewhere.

    Shapes: ``x, z`` (dim,). Raises `ArgumentError` unless ``dim`` is a whole number of at least 1.

    Source: the log-normal distribution; as a flow, Papamakarios et al. 2021, section 2.1.

    >>> x, log_det = Exp().to_data(jnp.array([2.0]))
    >>> round(float(x[0]), 4), float(log_det)
    (7.3891, 2.0)
    """

    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, dim: int = 1) -> None:
        check_count("dim", dim, 1)
        self.dim, self.context_dim = int(dim), 0

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        z = jnp.log(x)
        return z, -jnp.sum(z)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return jnp.exp(z), jnp.sum(z)

    @property
    def domain(self) -> Space:
        return POSITIVE

    def dependence(self) -> np.ndarray:
        return np.eye(self.dim, dtype=bool)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {"one column": cls(), "three columns": cls(3)}
