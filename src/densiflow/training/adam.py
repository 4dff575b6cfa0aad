"""Adam, written as one expression a leaf: each pass over the weights costs as much as a small layer's products.

Where there is a kernel for it, all leaves take one pass.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from densiflow import native
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
    factors = Factors(
        shrink=if_sound(jnp.minimum(1.0, CLIP / size)),
        mean_share=if_sound(1 - MEAN),
        square_share=if_sound(1 - SQUARE),
        # a short memory at first, so that the start is soon forgotten
        average_share=if_sound(1 - jnp.minimum(MEMORY, t / (9.0 + t))),
        mean_unbiased=-1.0 / jnp.expm1(t * math.log(MEAN)),
        square_unbiased=-1.0 / jnp.expm1(t * math.log(SQUARE)),
        rate=if_sound(rate),
        decay=jnp.asarray(decay, value.dtype),
        sound=if_sound(1.0),
    )
    leaves, structures = zip(*map(jax.tree.flatten, state[:4]), strict=True)
    moved = native.adam(leaves, jax.tree.leaves(gradient), factors, _moved)
    trained, average, mean, square = map(jax.tree.unflatten, structures, moved)
    return State(trained, average, mean, square, state.step + sound), sound


class Factors(NamedTuple):
    """All that a step is made of beside arrays of the weights' shapes."""

    shrink: Array  # of the gradient, to its largest norm
    mean_share: Array  # what the new gradient is of its average
    square_share: Array  # what its square is of theirs
    average_share: Array  # what the new weights are of theirs
    mean_unbiased: Array  # what takes the zeros of the start out of the averages
    square_unbiased: Array
    rate: Array
    decay: Array
    sound: Array  # 0 or 1


def _moved(columns: native.Columns, gradient: Sequence[Array], by: Factors) -> native.Columns:
    """The new weights, averages of weights, of gradients and of squares, a leaf at a time, in JAX alone."""

    def leaf(w: Array, average: Array, m: Array, v: Array, g: Array) -> tuple[Array, ...]:
        g = by.shrink * jnp.where(by.sound > 0, g, 0.0)
        m = m + by.mean_share * (g - m)
        v = v + by.square_share * (g * g - v)
        w = w - by.rate * (by.mean_unbiased * m / (jnp.sqrt(by.square_unbiased * v) + EPSILON) + by.decay * w)
        return w, average + by.average_share * (w - average), m, v

    return tuple(zip(*map(leaf, *columns, gradient), strict=True))
