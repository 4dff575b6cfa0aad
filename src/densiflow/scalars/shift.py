"""The shift alone, which changes no volume."""

from typing import Self, final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from densiflow.scalars.base import ScalarMap


@final
class Shift(ScalarMap):
    r"""Add a number.

    .. math:: x = z + \mu, \qquad \log\left|\det\right| = 0

    Shapes: ``theta`` (..., 1).

    Source: Dinh et al. 2015, "NICE: non-linear independent components estimation", section 3.2 (additive coupling).

    >>> x, log_slope = Shift().to_data(jnp.array(3.0), jnp.array([1.5]))
    >>> float(x), float(log_slope)
    (4.5, 0.0)
    """

    parameters: int = eqx.field(static=True)

    def __init__(self) -> None:
        self.parameters = 1

    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        z = x - theta[..., 0]
        return z, jnp.zeros_like(z)

    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        x = z + theta[..., 0]
        return x, jnp.zeros_like(x)

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {"shift": cls()}
