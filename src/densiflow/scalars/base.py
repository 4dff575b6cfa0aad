"""The interface of a scalar map: a monotone map of one number, with parameters that a conditioner gives."""

from abc import abstractmethod
from typing import ClassVar, Self

import equinox as eqx
import numpy as np
from jax import Array


class ScalarMap(eqx.Module):
    r"""A monotone map of one number; both directions return the log of their slope.

    .. math:: x = \tau(z; \theta), \qquad \log\left|\det\right| = \log \frac{d\tau}{dz}

    Parameters of zero give the identity, so that a network whose last layer starts at zero starts as the
    identity.

    Shapes: ``x, z`` (...); ``theta`` (..., parameters), any real numbers; ``log_slope`` (...).

    Source: Papamakarios et al. 2021, section 3.1 ("transformers").
    """

    parameters: eqx.AbstractVar[int]
    together: ClassVar[int] = 1  # columns that are inverted in one loop, at least; more where it is long to compile

    @abstractmethod
    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        """Data to base space: ``(z, log_slope)``."""

    @abstractmethod
    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        """Base space to data: ``(x, log_slope)``."""

    def training_start(self) -> np.ndarray | None:
        """Parameters (parameters,) for training to start from, where zeros are a point that it could never leave."""
        return None

    @classmethod
    def examples(cls) -> dict[str, Self]:
        """Members of the class, by name, for the laws to be tried on."""
        return {}
