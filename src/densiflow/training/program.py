"""The compiled part of training: a fixed number of optimiser steps in one program.

Everything that changes between fits of equal shapes (rows, rates, how many of the steps are real) is an argument,
so that a second fit compiles nothing. The state is used up: a program writes the new one into its memory.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from densiflow import native
from densiflow.fixed import combine
from densiflow.flow import Flow
from densiflow.training import adam
from densiflow.training.adam import State

start = jax.jit(adam.start)
copied = jax.jit(adam.copied)


def loss(trained: Flow, rest: Flow, x: Array, context: Array | None, weight: Array) -> Array:
    """Negative log-likelihood of a batch: sum of weight times nats. Rows of weight zero add nothing."""
    with native.gradients_only():  # gradients are all that a step takes of it
        log_prob = combine(trained, rest).log_prob(x, context)
    return -jnp.sum(jnp.where(weight > 0, weight * log_prob, 0.0))


def steps(
    state: State,
    rates: Array,
    count: Array,
    *,
    rest: Flow,
    x: Array,
    context: Array | None,
    weight: Array,
    decay: Array,
) -> tuple[State, Array, Array]:
    """`descend` the loss of the batches laid out in x (steps, batch, dim), one a step."""

    def of_step(k: Array, trained: Flow) -> Array:
        return loss(trained, rest, x[k], None if context is None else context[k], weight[k])

    return descend(of_step, state, rates, count, decay)


run = jax.jit(steps, donate_argnames="state")


def descend(
    loss: Callable[[Array, Flow], Array], state: State, rates: Array, count: Array, decay: Array | float = 0.0
) -> tuple[State, Array, Array]:
    """Take the first `count` of as many steps as there are rates, down a loss of the step's number and the weights.

    A step is Adam's, with weights shrunk by `decay` times the rate. Returns the state, the losses (steps,), and
    how many steps met a loss or gradient that is not finite; such a step changes nothing. Called inside jit.
    """

    def step(k: Array, carry: tuple[State, Array, Array]) -> tuple[State, Array, Array]:
        state, losses, broken = carry
        value, gradient = jax.value_and_grad(loss, argnums=1)(k, state.trained)
        state, sound = adam.step(state, value, gradient, rates[k], decay)
        return state, losses.at[k].set(value), broken + ~sound

    return lax.fori_loop(0, count, step, (state, jnp.zeros_like(rates), jnp.zeros((), jnp.int32)))


def steps_per_run(parameters: int, batch_size: int, seconds: float = 0.5) -> int:
    """How many steps make about half a second on a small machine, from the arithmetic alone: no clock is read.

    Progress and Ctrl-C work between runs, also inside a long epoch.

    >>> steps_per_run(parameters=50_000, batch_size=256)
    256
    """
    step = 6 * parameters * batch_size / 4e11 + 1e-3  # multiply-adds both ways, and what a step costs at least
    steps = max(1, int(seconds / step))
    return min(256, 1 << (steps.bit_length() - 1))
