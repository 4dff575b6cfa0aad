"""The compiled part of training an ensemble: the same steps for every member, whose arrays have a leading axis."""

from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from densiflow.ensemble import each, one_by_one
from densiflow.flow import Flow, _log_prob
from densiflow.training import adam, program
from densiflow.training.adam import State

T = TypeVar("T")

start = jax.jit(jax.vmap(adam.start))


@partial(jax.jit, donate_argnames="state")
def run(
    state: State,
    rates: Array,
    counts: Array,
    *,
    rest: Flow,
    x: Array,
    context: Array | None,
    weight: Array,
    decay: Array,
) -> tuple[State, Array, Array]:
    """`program.steps` of each member: rates (members, steps), counts (members,), x (members, steps, batch, dim).

    Side by side all take as many steps as the member that takes most; what a member with a smaller count makes of
    them nobody looks at.
    """
    most = jnp.max(counts)

    def member(
        state: State, rates: Array, count: Array, rest: Flow, x: Array, context: Array | None, weight: Array
    ) -> tuple[State, Array, Array]:
        count = count if one_by_one() else most
        return program.steps(state, rates, count, rest=rest, x=x, context=context, weight=weight, decay=decay)

    return each(member, state, rates, counts, rest, x, context, weight)


@jax.jit
def log_prob(flows: Flow, x: Array, context: Array | None) -> Array:
    """Each member's nats of its own rows: x (members, n, dim) to (members, n)."""
    return each(_log_prob, flows, x, context)


@partial(jax.jit, donate_argnames="best")
def kept(best: Flow, average: Flow, which: Array) -> Flow:
    """The best weights of each member, with the averaged ones instead for those `which` they are better for."""
    return _chosen(which, average, best)


@partial(jax.jit, donate_argnames="state")
def restarted(state: State, best: Flow, which: Array) -> State:
    """The state, started again from the best weights for the members in `which`."""
    return _chosen(which, jax.vmap(adam.start)(best), state)


def _chosen(which: Array, new: T, old: T) -> T:
    def leaf(new: Array, old: Array) -> Array:
        return jnp.where(which.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(leaf, new, old)
