"""Shift and scale each column by itself."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.bijections.base import Bijection
from densiflow.errors import ArgumentError, ShapeError
from densiflow.precision import float_dtype


@final
class Elementwise(Bijection):
    r"""Shift and scale each column.

    .. math:: x_i = z_i\, s_i + b_i, \qquad \log\left|\det\right|_\text{to data} = \sum_i \log s_i

    The scale is positive and stored as its logarithm. Without a shift (None) this is NICE's diagonal scaling layer.

    Shapes: ``shift, scale`` (dim,). Raises `ShapeError` unless both are (dim,), `ArgumentError` unless every scale is
    positive and finite.

    Source: Dinh et al. 2015, "NICE", section 3.3.

    >>> z, log_det = Elementwise(shift=[1.0], scale=[4.0]).to_base(jnp.array([9.0]))
    >>> z.tolist(), round(float(log_det), 4)
    ([2.0], -1.3863)
    """

    shift: Array | None
    log_scale: Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, shift: ArrayLike | None, scale: ArrayLike) -> None:
        if not isinstance(scale, jax.core.Tracer):
            given = np.asarray(scale)
            if not np.all((given > 0) & np.isfinite(given)):
                raise ArgumentError(f"every scale must be positive and finite, got {given.tolist()}")
        scale = jnp.asarray(scale)
        moves = scale if shift is None else jnp.asarray(shift)
        if scale.ndim != 1 or moves.shape != scale.shape or scale.size == 0:
            raise ShapeError(f"shift and scale must both be (dim,), got {moves.shape} and {scale.shape}")
        dtype = jnp.result_type(moves, scale)
        dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else float_dtype(None)
        self.shift = None if shift is None else moves.astype(dtype)
        self.log_scale = jnp.log(scale.astype(dtype))
        self.dim = scale.shape[0]
        self.context_dim = 0

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        moved = x if self.shift is None else x - self.shift
        return moved * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        x = z * jnp.exp(self.log_scale)
        return x if self.shift is None else x + self.shift, jnp.sum(self.log_scale)

    def dependence(self) -> np.ndarray:
        return np.eye(self.dim, dtype=bool)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "one column": cls([2.0], [0.25]),
            "no shift": cls(None, [2.0, 0.5]),
            "scales far apart": cls([0.0, -5.0, 3.0], [1e-3, 1.0, 40.0]),
        }
