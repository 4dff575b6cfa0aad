"""What a bijection does to some rows, both ways, and how far rounding may carry the results."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow.bijections.base import Bijection
from densiflow.laws import points
from densiflow.laws.trial import EXACT, Case, Numbers, anywhere
from densiflow.spaces import Space

Way = Literal["to_base", "to_data"]
WAYS: tuple[Way, Way] = get_args(Way)


class Trip(NamedTuple):
    """Rows sent one way, all together and one by one, and back again."""

    value: Array
    log_det: Array
    one_value: Array
    one_log_det: Array
    back: Array
    back_log_det: Array


class Slopes(NamedTuple):
    """Where one way leads from each row, and its derivatives there, in float64."""

    value: Array  # (n, dim)
    jacobian: Array  # (n, dim, dim), forward mode
    reverse: Array  # the same, reverse mode
    difference: Array  # the same, central differences
    log_det: Array  # (n, dim), gradient of log_det
    context: Array | None  # (n, dim, context_dim)
    back_jacobian: Array  # of the other way, where the first one landed
    back_log_det: Array


@dataclass
class BijectionCase(Case[Bijection]):
    """A bijection, points to send each way, and what becomes of them."""

    @property
    def widths(self) -> tuple[int, int]:
        """Columns of a row and of the context."""
        return self.thing.dim, self.thing.context_dim

    def space(self, way: Way) -> Space:
        """Where a way starts."""
        return self.thing.domain if way == "to_base" else self.thing.codomain

    @cached_property
    def start(self) -> dict[Way, Array]:
        """Rows (n, dim) for each way, in the space it starts from."""
        shape = (points.rows_for(*self.widths), self.thing.dim)
        return {way: jnp.asarray(points.inside(self.space(way), self.rng, shape), self.dtype) for way in WAYS}

    @cached_property
    def context(self) -> Array | None:
        """A context (n, context_dim) for the rows, None where the bijection takes none."""
        width = self.thing.context_dim
        shape = (points.rows_for(*self.widths), width)
        return jnp.asarray(self.rng.normal(size=shape), self.dtype) if width else None

    def far(self, way: Way) -> Array:
        """The starting rows of a way, much farther out."""
        return jnp.asarray(points.far(self.space(way), np.asarray(self.start[way], np.float64)), self.dtype)

    @cached_property
    def trips(self) -> dict[Way, Trip]:
        """Each way there and back."""
        return {way: travel(self.thing, way, self.start[way], self.context) for way in WAYS}

    @cached_property
    def slopes(self) -> dict[Way, Slopes]:
        """The derivatives of each way, from the float64 copy."""
        context = None if self.context is None else self.context.astype(np.float64)
        return {way: _slopes(self.exact, way, self.start[way].astype(np.float64), context) for way in WAYS}

    @cached_property
    def reach(self) -> "Reach":
        """What has any influence on what, on any row of any of several copies."""
        context = None if self.context is None else self.context.astype(np.float64)
        dim, width = self.widths
        by_row, by_context, copies = np.zeros((dim, dim), bool), np.zeros((dim, width), bool), np.ones((dim, dim), bool)
        x = self.start["to_base"].astype(np.float64)
        for copy in anywhere(self.exact, self.key):
            slopes = _slopes(copy, "to_base", x, context)
            copies &= np.all(slopes.value[:, :, None] == x[:, None, :], axis=0)
            size = np.abs(slopes.jacobian)
            by_row |= np.any(size > EXACT * np.max(size, axis=-1, keepdims=True), axis=0)
            if slopes.context is not None:
                by_context |= np.any(np.abs(slopes.context) > 0, axis=0)
        return Reach(by_row, by_context, np.any(copies, axis=1))

    @cached_property
    def tolerances(self) -> dict[Way, "Tolerances"]:
        """How far rounding may carry the results of each way."""
        return {way: _tolerances(self, way) for way in WAYS}


class Reach(NamedTuple):
    """Which outputs of `to_base` change at all with which inputs."""

    by_row: NDArray[np.bool_]  # (dim, dim)
    by_context: NDArray[np.bool_]  # (dim, context_dim)
    copied: NDArray[np.bool_]  # (dim,), whether an output is always some input as it came


class Tolerances(NamedTuple):
    """The machine's rounding times what the map's own slopes make of it, row by row."""

    value: Numbers  # (n, dim)
    log_det: Numbers  # (n,)
    back: Numbers  # (n, dim), there and back
    back_log_det: Numbers  # (n,)
    condition: Numbers  # (n,), what a relative error of the Jacobian's entries makes of its log-determinant


def _tolerances(case: BijectionCase, way: Way) -> Tolerances:
    trip, slopes = case.trips[way], case.slopes[way]
    point = np.abs(np.asarray(case.start[way], np.float64))
    there, again = np.abs(slopes.jacobian), np.abs(slopes.back_jacobian)
    value = np.abs(trip.value) + np.einsum("nij,nj->ni", there, point) + 1e-3
    log_det = case.thing.dim + np.abs(trip.log_det) + np.einsum("nj,nj->n", np.abs(slopes.log_det), point)
    back = point + np.einsum("nij,nj->ni", again, value)
    back_log_det = log_det + np.einsum("nj,nj->n", np.abs(slopes.back_log_det), value)
    condition = np.einsum("nij,nji->n", again, there)
    value, log_det, back, back_log_det = (case.rounding * part for part in (value, log_det, back, back_log_det))
    return Tolerances(value, log_det, back, back_log_det, condition)


@partial(jax.jit, static_argnames="way")
def travel(bijection: Bijection, way: Way, start: Array, context: Array | None) -> Trip:
    """Send rows one way and back."""
    value, log_det = _rows(bijection, way)(start, context)
    one_value, one_log_det = jax.vmap(getattr(bijection, way))(start, context)
    back, back_log_det = _rows(bijection, _other(way))(value, context)
    return Trip(value, log_det, one_value, one_log_det, back, back_log_det)


@partial(jax.jit, static_argnames="way")
def _slopes(bijection: Bijection, way: Way, start: Array, context: Array | None) -> Slopes:
    def at(row: Array, context: Array | None) -> Slopes:
        there, again = getattr(bijection, way), getattr(bijection, _other(way))
        jacobian, log_det = jax.jacfwd(there)(row, context)
        reverse, _ = jax.jacrev(there)(row, context)
        by_context = None if context is None else jax.jacfwd(there, argnums=1)(row, context)[0]
        value = there(row, context)[0]
        back_jacobian, back_log_det = jax.jacfwd(again)(value, context)
        difference = _central_difference(lambda x: there(x, context)[0], row)
        return Slopes(value, jacobian, reverse, difference, log_det, by_context, back_jacobian, back_log_det)

    return jax.vmap(at)(start, context)


def _central_difference(function: Any, row: Array) -> Array:
    """The Jacobian (dim, dim) with no derivative rule involved."""
    step = float(np.cbrt(np.finfo(np.float64).eps)) * (1 + jnp.abs(row))
    ends = jnp.diag(step)
    change = jax.vmap(function)(row + ends) - jax.vmap(function)(row - ends)
    return (change / (2 * step[:, None])).T


def _rows(bijection: Bijection, way: Way) -> Any:
    return bijection.to_base_rows if way == "to_base" else bijection.to_data_rows


def _other(way: Way) -> Way:
    return "to_data" if way == "to_base" else "to_base"
