"""A scalar map read the other way."""

from typing import Self, final

import equinox as eqx
from jax import Array

from densiflow.scalars.affine import Affine
from densiflow.scalars.base import ScalarMap


@final
class Reversed(ScalarMap):
    r"""Swap the two directions of a scalar map: its parameters speak of the way to base.

    .. math:: z = \tau(x; \theta), \qquad \log \frac{dz}{dx} = \log \tau'(x; \theta)

    An affine map reversed says :math:`z = x\, e^{\alpha} + \mu`: what the network gives multiplies the data, not
    the noise. The family of densities is the same; the numbers are those of libraries that write it so.

    Shapes: those of the map inside.

    Source: Papamakarios et al. 2021, section 3.1.2 (either direction of an autoregressive flow may be the given one).

    >>> import jax.numpy as jnp
    >>> z, log_slope = Reversed(Affine(bound=None)).to_base(jnp.array(3.0), jnp.array([1.0, 0.6931472]))
    >>> round(float(z), 4), round(float(log_slope), 4)
    (7.0, 0.6931)
    """

    inner: ScalarMap
    parameters: int = eqx.field(static=True)

    def __init__(self, inner: ScalarMap) -> None:
        self.inner, self.parameters = inner, inner.parameters

    @property
    def together(self) -> int:  # type: ignore[override]
        """As many as for the map inside."""
        return self.inner.together

    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        return self.inner.to_data(x, theta)

    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        return self.inner.to_base(z, theta)

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {"affine": cls(Affine()), "softplus": cls(Affine("softplus"))}
