"""What a flow says of some rows, and how far rounding may carry it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.bases.base import Base
from densiflow.bijections.base import context_for
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.laws import integral, points
from densiflow.laws.trial import EXACT, Case, Numbers
from densiflow.precision import cast

DRAWS = 12288
CONTEXTS = 2  # context rows that samples are drawn for; few, so that most calls fit the smallest compiled program


def case_of(flow: Flow, exact: Flow, is_moved: bool, key: Array) -> "FlowCase":
    """A flow as given, or with its parameters moved and standardised to some mean and scale."""
    case = FlowCase(flow, exact, is_moved, key)
    if not is_moved:
        return case
    context = None if case.context is None else 3 - 2 * case.context
    flow = flow.standardised(1 + 3 * case.x if flow.is_scalable else case.x, context)
    return FlowCase(flow, cast(flow, np.float64), is_moved, key)


@dataclass
class FlowCase(Case[Flow]):
    """A flow, rows and contexts to try it on, and what the density says of its samples."""

    @property
    def rows(self) -> int:
        """How many rows are tried."""
        return points.rows_for(self.thing.dim, self.thing.context_dim)

    @property
    def is_bounded(self) -> bool:
        """Whether the base fills less than what the bijection reaches, so that some rows have density zero."""
        return not self.thing.base.support.reaches(self.thing.bijection.codomain)

    @cached_property
    def x(self) -> Array:
        """Rows (n, dim) of the domain; where the base is bounded, every other one has a density for certain."""
        shape = (self.rows, self.thing.dim)
        x = jnp.asarray(points.inside(self.thing.bijection.domain, self.rng, shape), self.dtype)
        if not self.is_bounded:
            return x
        drawn = self.thing.sample(self.key, self.rows if self.context is None else 1, self.context)
        return x.at[::2].set(drawn.reshape(shape)[::2])

    @cached_property
    def context(self) -> Array | None:
        """A context (n, context_dim) for the rows, None where the flow takes none."""
        width = self.thing.context_dim
        return jnp.asarray(self.rng.normal(size=(self.rows, width)), self.dtype) if width else None

    @cached_property
    def one_context(self) -> Array | None:
        """One context (context_dim,)."""
        return None if self.context is None else self.context[0]

    @cached_property
    def log_prob(self) -> Array:
        """Log densities of the rows."""
        return self.thing.log_prob(self.x, self.context)

    @cached_property
    def gradients(self) -> "Gradients":
        """Derivatives of the rows' log densities."""
        return gradients(self.thing, self.x, self.context)

    @cached_property
    def samples(self) -> Numbers:
        """Rows drawn for the one context."""
        return np.asarray(self.thing.sample(self.key, integral.GUIDES + DRAWS, self.one_context), np.float64)

    @cached_property
    def weighted(self) -> integral.Weighted:
        """The density as seen by importance sampling."""

        def log_prob(x: Numbers) -> Numbers:
            return np.asarray(self.thing.log_prob(x, self.one_context), np.float64)

        return integral.weighted(log_prob, self.samples[: integral.GUIDES], self.rng)

    @cached_property
    def base_samples(self) -> integral.Weighted:
        """As many rows of the base, each of weight one."""
        flow = self.thing
        context = None if self.one_context is None else flow.context_as_seen(self.one_context[None])
        keys = jax.random.split(jax.random.fold_in(self.key, 2), DRAWS)
        z = np.asarray(_from_base(flow.base, keys, None if context is None else context[0]), np.float64)
        return integral.Weighted(z, np.ones(DRAWS))

    @cached_property
    def z(self) -> Array:
        """Rows (n, dim) of the base's support."""
        return jnp.asarray(points.inside(self.thing.base.support, self.rng, (self.rows, self.thing.dim)), self.dtype)

    @cached_property
    def journeys(self) -> dict[str, "Journey"]:
        """From rows `x` to base space and back, and from rows `z` to data and back."""
        flow, context = self.thing, self.context
        z, log_det = flow.to_base(self.x, context)
        again = flow.to_data(z, context)
        x, back_log_det = flow.to_data(self.z, context)
        back = flow.to_base(x, context)
        return {
            "to_base": _journey(self, (self.x, z, again[0]), log_det, again[1], self.x),
            "to_data": _journey(self, (self.z, x, back[0]), back[1], back_log_det, x),
        }

    def tolerance(self, log_prob: Array, x: Array, by_row: Array) -> Numbers:
        """How far rounding may carry log densities: of the sum itself, and of the row by way of the gradient."""
        carried = np.sum(np.abs(by_row) * (1 + np.abs(x)), axis=-1)
        return np.asarray(self.rounding * (self.thing.dim + np.abs(log_prob) + carried))


@jax.jit
def _from_base(base: Base, keys: Array, context: Array | None) -> Array:
    return jax.vmap(base.sample, (0, None))(keys, context_for(base, context))


class Journey(NamedTuple):
    """Rows sent one way and back, with the volume that `to_base` should find and how far rounding may carry each."""

    start: Array  # (n, dim)
    back: Array
    log_det: Array  # (n,), of to_base
    back_log_det: Array  # of to_data
    volume: Numbers  # (n,), of the Jacobian of to_base
    back_tolerance: Numbers  # (n, dim)
    log_det_tolerance: Numbers  # (n,)


def _journey(
    case: FlowCase, stops: tuple[Array, Array, Array], log_det: Array, back_log_det: Array, x: Array
) -> Journey:
    """What is known of a journey by way of its stops, from the slopes of `to_base` at its rows of data `x`."""
    context = None if case.context is None else case.context.astype(np.float64)
    jacobian, log_det_slope = (np.asarray(part) for part in _slopes(case.exact, x.astype(np.float64), context))
    to_base, to_data = np.abs(jacobian), np.abs(np.linalg.inv(jacobian))
    there, again = (to_base, to_data) if x is stops[0] else (to_data, to_base)
    start, landed = (np.abs(np.asarray(stop, np.float64)) for stop in stops[:2])
    landed = landed + np.einsum("nij,nj->ni", there, start) + 1e-3
    back = start + np.einsum("nij,nj->ni", again, landed)
    carried = np.einsum("nj,nj->n", np.abs(log_det_slope), np.where(x is stops[0], back, landed))
    return Journey(
        stops[0],
        stops[2],
        log_det,
        back_log_det,
        np.linalg.slogdet(jacobian)[1],
        case.rounding * back,
        case.rounding * (case.thing.dim + np.abs(np.asarray(log_det)) + carried)
        + EXACT * np.einsum("nij,nji->n", to_base, to_data),
    )


@jax.jit
def _slopes(flow: Flow, x: Array, context: Array | None) -> tuple[Array, Array]:
    """The Jacobian of `to_base` (n, dim, dim) and the gradient of its log_det (n, dim), at each row."""
    return jax.vmap(jax.jacfwd(flow.to_base))(x, context)


class Gradients(NamedTuple):
    """Derivatives of a sum of results, in reverse mode by each input and in forward mode along all."""

    parameters: Any
    row: Array
    context: Array | None
    tangent: Array


@jax.jit
def gradients(flow: Flow, x: Array, context: Array | None) -> Gradients:
    """Of log densities by the flow's parameters, the rows and their contexts."""

    def total(flow: Flow, x: Array, context: Array | None) -> Array:
        return jnp.sum(flow.log_prob(x, context))

    return _derivatives(total, flow, x, context)


@jax.jit
def sample_gradients(flow: Flow, key: Array, context: Array | None) -> tuple[Gradients, Array | None]:
    """Of samples and their log densities, the samples' means moved by a dummy row; and each column by the context."""

    def total(flow: Flow, move: Array, context: Array | None) -> Array:
        x, log_prob = flow.sample_and_log_prob(key, CONTEXTS, context)
        return jnp.sum(x + move) + jnp.sum(log_prob)

    def column_sums(context: Array) -> Array:
        return jnp.sum(flow.sample(key, CONTEXTS, context) ** 2, axis=(0, 1))

    by_context = None if context is None else jax.jacrev(column_sums)(context)
    return _derivatives(total, flow, jnp.zeros(flow.dim, flow.dtype), context), by_context


def _derivatives(total: Callable[..., Array], flow: Flow, x: Array, context: Array | None) -> Gradients:
    trained, rest = partition(flow)

    def of_inputs(inputs: tuple[Flow, Array, Array | None]) -> Array:
        return total(combine(inputs[0], rest), *inputs[1:])

    inputs = (trained, x, context)
    tangent = jax.jvp(of_inputs, (inputs,), (jax.tree.map(jnp.ones_like, inputs),))[1]
    parameters, row, by_context = jax.grad(of_inputs)(inputs)
    return Gradients(parameters, row, by_context, tangent)
