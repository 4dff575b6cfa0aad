"""Shift and scale each column, set from the first data it meets."""

from typing import Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow.arguments import check_count
from densiflow.bijections.base import Bijection
from densiflow.precision import float_dtype


@final
class ActNorm(Bijection):
    r"""Shift and scale each column, so that training starts from mean 0 and standard deviation 1.

    .. math:: z_i = (x_i - b_i)\, e^{-a_i}, \qquad \log\left|\det\right|_\text{to base} = -\sum_i a_i

    It is the identity until `initialise` sets shift and scale from rows of data, as `training.fit` does once;
    from then on they are trained like any other number, and a further fit starts from where they are. ``is_set`` says
    which of the two it is, True from the start for one that data shall not set.

    Shapes: ``shift, log_scale`` (dim,). A column of one value is scaled by that value's size.
    Raises `ArgumentError` unless ``dim`` is a whole number of at least 1.

    Source: Kingma & Dhariwal 2018, "Glow: generative flow with invertible 1x1 convolutions", section 3.1.

    >>> layer = ActNorm(1).initialise(jnp.array([[4.0], [8.0]]))
    >>> layer.to_base(jnp.array([8.0]))[0].tolist(), layer.needs_data
    ([1.0], False)
    """

    shift: Array
    log_scale: Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)
    is_set: bool = eqx.field(static=True)

    def __init__(self, dim: int, dtype: DTypeLike | None = None, *, is_set: bool = False) -> None:
        check_count("dim", dim, 1)
        self.shift = jnp.zeros(dim, float_dtype(dtype))
        self.log_scale = jnp.zeros_like(self.shift)
        self.dim, self.context_dim, self.is_set = int(dim), 0, bool(is_set)

    @property
    def needs_data(self) -> bool:  # type: ignore[override]
        """Whether it is still to be set from data."""
        return not self.is_set

    def initialise(self, x: Array, context: Array | None = None) -> Self:
        """Set from rows (n, dim), once: one that is set already stays as it is."""
        if self.is_set:
            return self
        shift, log_scale = _standardising(jnp.asarray(x, self.shift.dtype))
        blank = type(self)(self.dim, self.shift.dtype, is_set=True)
        return eqx.tree_at(lambda layer: (layer.shift, layer.log_scale), blank, (shift, log_scale))

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return (x - self.shift) * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return z * jnp.exp(self.log_scale) + self.shift, jnp.sum(self.log_scale)

    def dependence(self) -> np.ndarray:
        return np.eye(self.dim, dtype=bool)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        far_apart = jax.random.normal(key, (20, 3)) * jnp.array([1e-3, 1.0, 40.0]) + jnp.array([0.0, -5.0, 300.0])
        return {
            "one column, not set yet": cls(1),
            "scales far apart": cls(3).initialise(far_apart),
            "a column of one value": cls(2).initialise(far_apart.at[:, 0].set(7.0)[:, :2]),
        }


@jax.jit
def _standardising(x: Array) -> tuple[Array, Array]:
    """Mean and log standard deviation of each column of x (n, dim)."""
    size = jnp.max(jnp.abs(x), axis=0)
    size = jnp.where(size > 0, size, 1.0)
    scaled = x / size  # so that no square overflows
    mean = jnp.mean(scaled, axis=0)
    deviation = jnp.std(scaled, axis=0)
    rounding = 10 * float(np.finfo(x.dtype).eps)  # what is left of a column of one value
    return mean * size, jnp.log(jnp.where(deviation > rounding, deviation, 1.0)) + jnp.log(size)
