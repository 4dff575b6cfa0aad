"""The interface of a scale: numbers <-> the real line, with the volume that the way there takes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Scale(ABC):
    r"""A fitted increasing map between the numbers of one column and the real line, in float64 on the host.

    .. math:: y = g(\mathrm{value}), \qquad \text{log\_volume} = \log\left|\frac{dy}{d\,\mathrm{value}}\right|

    Over the training rows y is near a standard normal's. Adding ``log_volume`` to the log density of y gives the
    density per unit of the column. Shapes: every array is (n,).
    """

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, values: Floats, weight: Floats) -> Self:
        """The map whose constants come of these finite values and their weights (n,)."""

    @abstractmethod
    def encode(self, values: Floats) -> tuple[Floats, Floats]:
        """Numbers to the real line: ``(y, log_volume)``."""

    @abstractmethod
    def decode(self, y: Floats) -> Floats:
        """The real line to numbers, finite for every finite y."""

    def support(self) -> tuple[float, float]:
        """Between which numbers y is defined."""
        return -np.inf, np.inf

    @abstractmethod
    def to_state(self) -> dict[str, Any]:
        """The constants as plain values that JSON can hold."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Undo `to_state`."""

    @classmethod
    def examples(cls) -> dict[str, Self]:
        """Members of the class, by name, for the laws to be tried on."""
        return {}
