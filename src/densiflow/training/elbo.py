"""The compiled part of variational training: what a flow's draws say of its distance from a target."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from densiflow.fixed import combine
from densiflow.flow import Flow
from densiflow.training import program
from densiflow.training.adam import State

LogTarget = Callable[..., Any]  # x (n, dim), and context (n, c) where there is one, to (n,)


def gains(flow: Flow, key: Array, context: Array | None, log_target: LogTarget, samples: int) -> Array:
    """The log of target over flow at `samples` draws of the flow, (samples,); its mean is the ELBO.

    Of contexts (m, c) each draw gets one, all of them as often, or random ones where they are more than draws.
    """
    if context is None:
        x, log_q = flow.sample_and_log_prob(key, samples)
        log_p = log_target(x)
    else:
        order_key, key = jax.random.split(key)
        order = jax.random.permutation(order_key, len(context))
        context = context[order[jnp.arange(samples) % len(context)]]
        (x,), (log_q,) = flow.sample_and_log_prob(key, 1, context)
        log_p = log_target(x, context)
    return log_p.astype(log_q.dtype) - log_q


@partial(jax.jit, static_argnames=("log_target", "samples"), donate_argnames="state")
def run(
    state: State,
    rates: Array,
    count: Array,
    *,
    rest: Flow,
    key: Array,
    first: Array,
    context: Array | None,
    log_target: LogTarget,
    samples: int,
) -> tuple[State, Array, Array]:
    """`descend` the negative ELBO, with fresh draws a step: those of step k depend on the key and first + k alone."""

    def loss(k: Array, trained: Flow) -> Array:
        step_key = jax.random.fold_in(key, first + k)
        return -jnp.mean(gains(combine(trained, rest), step_key, context, log_target, samples))

    return program.descend(loss, state, rates, count)


@partial(jax.jit, static_argnames=("log_target", "samples"))
def judge(trained: Flow, rest: Flow, keys: Array, context: Array | None, log_target: LogTarget, samples: int) -> Array:
    """The ELBO of `samples` draws for each of the keys, (keys,); in turn, so that it takes a step's memory."""

    def of_key(key: Array) -> Array:
        return jnp.mean(gains(combine(trained, rest), key, context, log_target, samples))

    return lax.map(of_key, keys)
