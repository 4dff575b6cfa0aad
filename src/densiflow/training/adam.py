"""Adam, written as one expression a leaf: each pass over the weights costs as much as a small layer's products."""

import math
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from densiflow.flow import Flow

CLIP = 5.0  # largest norm of a gradient
MEAN, SQUARE = 0.9, 0.999  # memories of the gradient's two running averages
EPSILON = 1e-8
MEMORY = 0.99  # of the running average of the weights: about the last hundred steps


class State(NamedTuple):
    """What training moves: the trained leaves of a flow, their running average, and those of gradient and square."""

    trained: Flow
    average: Flow
    mean: Flow
    square: Flow
    step: Array  # steps taken, ()


def start(trained: Flow) -> State:
    """The state before the first step; all of it in memory of its own, so that a program may use it up."""
    zeros = jax.tree.map(jnp.zeros_like, trained)
    return State(copied(trained), copied(trained), zeros, copied(zeros), jnp.zeros((), jnp.int32))


def copied(tree: Any) -> Any:
    """The same arrays in new memory."""
    return jax.tree.map(jnp.copy, tree)


def norm(gradient: Any) -> Array:
    """The Euclidean norm over all leaves."""
    return jnp.sqrt(reduce(jnp.add, [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)]))


def step(state: State, value: Array, gradient: Flow, rate: Array, decay: Array | float) -> tuple[State, Array]:
    r"""One step down a loss of this value and gradient, and whether it was sound.

    .. math:: m \mathrel{+}= (1 - \beta_1)(g - m), \qquad v \mathrel{+}= (1 - \beta_2)(g^2 - v), \qquad
              w \mathrel{-}= r \left(\frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
              + \lambda w\right)

    with :math:`g` the gradient cut to a norm of at most 5. Where the value or the gradient is not finite every factor
    is zero, so that nothing changes: cheaper than choosing between two whole states.

    Source: Kingma & Ba 2015, "Adam", algorithm 1; Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    size = norm(gradient)
    sound = jnp.isfinite(value) & jnp.isfinite(size)

    def if_sound(factor: Array | float) -> Array:
        return jnp.where(sound, factor, 0.0).astype(value.dtype)

    t = (state.step + 1).astype(value.dtype)
    shrink = if_sound(jnp.minimum(1.0, CLIP / size))
    mean_unbiased, square_unbiased = -1.0 / jnp.expm1(t * math.log(MEAN)), -1.0 / jnp.expm1(t * math.log(SQUARE))
    mean_share, square_share, rate = if_sound(1 - MEAN), if_sound(1 - SQUARE), if_sound(rate)
    # a short memory at first, so that the start is soon forgotten
    average_share = if_sound(1 - jnp.minimum(MEMORY, t / (9.0 + t)))

    def moved(w: Array, average: Array, m: Array, v: Array, g: Array) -> tuple[Array, ...]:
        g = shrink * jnp.where(sound, g, 0.0)
        m = m + mean_share * (g - m)
        v = v + square_share * (g * g - v)
        w = w - rate * (mean_unbiased * m / (jnp.sqrt(square_unbiased * v) + EPSILON) + decay * w)
        return w, average + average_share * (w - average), m, v

    leaves, structure = jax.tree.flatten(state[:4])
    each = len(leaves) // 4
    columns = zip(*(leaves[i * each : (i + 1) * each] for i in range(4)), jax.tree.leaves(gradient), strict=True)
    parts = zip(*(moved(*column) for column in columns), strict=True)
    trained, average, mean, square = jax.tree.unflatten(structure, [leaf for part in parts for leaf in part])
    return State(trained, average, mean, square, state.step + sound), sound
