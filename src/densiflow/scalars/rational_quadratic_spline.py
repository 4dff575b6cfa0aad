"""The rational-quadratic spline with linear tails."""

import math
from functools import partial, reduce
from typing import NamedTuple, Self, TypeVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.arguments import check_count, is_real
from densiflow.errors import ArgumentError
from densiflow.scalars.base import ScalarMap

T = TypeVar("T")

LEAST_SHARE = 1e-3  # of a bin in the box, wide and high
LEAST_SLOPE = 1e-3  # at a knot
FEW = 16  # bins that are walked through one by one
BOUND = 50.0  # of what slopes at the knots are made of, and nearly of these


@final
class RationalQuadraticSpline(ScalarMap):
    r"""A monotone spline of rational-quadratic pieces inside a box, the identity outside.

    .. math:: z = z_k + \frac{h_k \left(s_k \xi^2 + d_k \xi (1 - \xi)\right)}
              {s_k + (d_{k+1} + d_k - 2 s_k)\, \xi (1 - \xi)}, \qquad
              \xi = \frac{x - x_k}{w_k}, \quad s_k = \frac{h_k}{w_k}

    for x in bin k of [-B, B]; z = x outside. The knots' slopes d are 1 at both ends, so the first derivative is
    continuous everywhere. `to_data` solves the quadratic by :math:`\xi = 2c / (-b - \sqrt{b^2 - 4ac})`, which does
    not cancel.

    The network gives K numbers for the bins' widths (by softmax), K for their heights, and K - 1 for the slopes at the
    inner knots (by softplus, softly bounded: no spline is so steep that float32 loses its way back).

    Shapes: ``theta`` (..., 3 bins - 1). Raises `ArgumentError` for fewer than two bins (one is the identity) or
    more than 500, or a bound that is not positive and finite.

    Source: Durkan et al. 2019, "Neural spline flows", eq. 4 to 8 and section 3.1.

    >>> spline = RationalQuadraticSpline(bins=4)
    >>> theta = jnp.arange(11.0) / 5
    >>> z, log_slope = spline.to_base(jnp.array([0.5, 7.0]), theta)
    >>> bool(jnp.allclose(spline.to_data(z, theta)[0], jnp.array([0.5, 7.0]), atol=1e-5))
    True
    """

    bins: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    together = 8

    def __init__(self, bins: int = 8, bound: float = 3.0) -> None:
        self.bins, self.bound, self.parameters = bins, bound, 3 * bins - 1

    def __check_init__(self) -> None:
        check_count("bins", self.bins, 2)
        if self.bins > LEAST_SHARE**-1 / 2:
            raise ArgumentError(f"bins must be at most {int(LEAST_SHARE**-1 / 2)}, got {self.bins}")
        if not (is_real(self.bound) and 0 < self.bound < math.inf):
            raise ArgumentError(f"bound must be positive and finite, got {self.bound!r}")

    def to_base(self, x: Array, theta: Array) -> tuple[Array, Array]:
        inside = jnp.abs(x) < self.bound
        at = jnp.clip(x, -self.bound, self.bound)
        piece = self._piece(theta, at, by_width=True)
        xi = jnp.clip((at - piece.left) / piece.width, 0, 1)
        z = piece.bottom + piece.height * piece.rise(xi) / piece.denominator(xi)
        return jnp.where(inside, z, x), jnp.where(inside, piece.log_slope(xi), 0)

    def to_data(self, z: Array, theta: Array) -> tuple[Array, Array]:
        inside = jnp.abs(z) < self.bound
        at = jnp.clip(z, -self.bound, self.bound)
        piece = self._piece(theta, at, by_width=False)
        xi = piece.place_of((at - piece.bottom) / piece.height)
        x = piece.left + piece.width * xi
        return jnp.where(inside, x, z), jnp.where(inside, -piece.log_slope(xi), 0)

    def _piece(self, theta: Array, at: Array, by_width: bool) -> "_Piece":
        """The piece of the spline that a number lies in, found among the knots of one axis or of the other."""
        if self.bins <= FEW:
            return self._passed_by(theta, at, by_width)
        width, height, slope = self._bins(theta)
        x_knots, z_knots = self._knots(width), self._knots(height)
        inner = (x_knots if by_width else z_knots)[..., 1:-1]
        number = jnp.sum(at[..., None] >= inner, axis=-1)
        chosen = jax.nn.one_hot(number, self.bins, dtype=bool)

        def pick(values: Array) -> Array:
            return jnp.sum(jnp.where(chosen, values, 0), axis=-1)

        return _Piece(
            pick(x_knots[..., :-1]), pick(z_knots[..., :-1]), pick(width), pick(height),
            pick(slope[..., :-1]), pick(slope[..., 1:]),
        )  # fmt: skip

    def _passed_by(self, theta: Array, at: Array, by_width: bool) -> "_Piece":
        """The same piece, by walking past one knot after another: twice as fast, and long to compile for many bins.

        Each bin's numbers are arrays of their own, so that all of the walk is one loop over the rows.
        """
        width, height, slope = self._bins_apart(theta)
        start = jnp.full_like(at, -self.bound)
        piece = _Piece(start, start, width[0], height[0], slope[0], slope[1])
        left, bottom = start, start
        for k in range(1, self.bins):
            left, bottom = left + width[k - 1], bottom + height[k - 1]
            passed = at >= (left if by_width else bottom)
            following = _Piece(left, bottom, width[k], height[k], slope[k], slope[k + 1])
            piece = jax.tree.map(partial(jnp.where, passed), following, piece)
        return piece

    def _bins_apart(self, theta: Array) -> tuple[list[Array], list[Array], list[Array]]:
        """The same as `_bins`, each number an array (...) of its own."""
        parts = [part[..., 0] for part in jnp.split(theta, self.parameters, axis=-1)]
        one = jnp.ones_like(parts[0])
        width, height = (self._sizes(_shares(parts[k * self.bins : (k + 1) * self.bins])) for k in range(2))
        return width, height, [one, *map(_slope, parts[2 * self.bins :]), one]

    def _bins(self, theta: Array) -> tuple[Array, Array, Array]:
        """Widths and heights (..., bins), slopes at the knots (..., bins + 1)."""
        width, height = (self._sizes(jax.nn.softmax(theta[..., k * self.bins : (k + 1) * self.bins])) for k in range(2))
        end = jnp.ones_like(width[..., :1])
        return width, height, jnp.concatenate([end, _slope(theta[..., 2 * self.bins :]), end], axis=-1)

    def _sizes(self, shares: T) -> T:
        """What bins of those shares of the box measure."""
        left = 1 - LEAST_SHARE * self.bins
        return jax.tree.map(lambda share: 2 * self.bound * (LEAST_SHARE + left * share), shares)

    def _knots(self, size: Array) -> Array:
        """Edges (..., bins + 1) of bins of those sizes, from -bound."""
        start = jnp.full_like(size[..., :1], -self.bound)
        return jnp.concatenate([start, jnp.cumsum(size, axis=-1) - self.bound], axis=-1)

    @classmethod
    def examples(cls) -> dict[str, Self]:
        return {"eight bins": cls(), "two bins": cls(2), "a narrow box": cls(5, bound=0.5)}


def _slope(number: Array) -> Array:
    """The slope at a knot, 1 for the number 0."""
    return LEAST_SLOPE + jax.nn.softplus(BOUND * jnp.tanh(number / BOUND) + math.log(math.expm1(1 - LEAST_SLOPE)))


def _shares(logits: list[Array]) -> list[Array]:
    """The softmax of numbers that are arrays of their own."""
    largest = lax.stop_gradient(reduce(jnp.maximum, logits))
    sizes = [jnp.exp(logit - largest) for logit in logits]
    total = reduce(jnp.add, sizes)
    return [size / total for size in sizes]


class _Piece(NamedTuple):
    """One bin: its corner, its size and the slopes at its two knots."""

    left: Array
    bottom: Array
    width: Array
    height: Array
    first: Array  # slope at the left knot
    last: Array  # slope at the right knot

    @property
    def mean_slope(self) -> Array:
        return self.height / self.width

    def rise(self, xi: Array) -> Array:
        return self.mean_slope * xi**2 + self.first * xi * (1 - xi)

    def denominator(self, xi: Array) -> Array:
        return self.mean_slope + (self.last + self.first - 2 * self.mean_slope) * xi * (1 - xi)

    def log_slope(self, xi: Array) -> Array:
        """The log of dz/dx: eq. 5 of the source."""
        s = self.mean_slope
        numerator = self.last * xi**2 + 2 * s * xi * (1 - xi) + self.first * (1 - xi) ** 2
        return 2 * jnp.log(s) + jnp.log(numerator) - 2 * jnp.log(self.denominator(xi))

    def place_of(self, eta: Array) -> Array:
        """The xi at which a share `eta` of the height is reached: eq. 6 to 8."""
        eta = jnp.clip(eta, 0, 1)
        excess = eta * (self.last + self.first - 2 * self.mean_slope)
        a = self.mean_slope - self.first + excess
        b = self.first - excess
        c = -self.mean_slope * eta
        root = jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, np.finfo(eta.dtype).tiny))
        return jnp.clip(2 * c / (-b - root), 0, 1)
