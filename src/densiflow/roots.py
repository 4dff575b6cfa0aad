"""The root of an increasing function, number by number, differentiable through the implicit function."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Function = Callable[[Array], Array]


def increasing_root(function: Function, low: Array, high: Array) -> Array:
    r"""Find x in [low, high] with ``function(x) = 0``, by Newton's method kept inside a shrinking bracket.

    A step that would leave the bracket, or that does not come closer fast enough, is a bisection instead; so the
    search can't fail, and ends at the float's precision after a fixed number of steps. Derivatives of any order and
    in both modes come from the implicit function, not from the steps:

    .. math:: \frac{dx}{d\theta} = -\frac{\partial f / \partial \theta}{\partial f / \partial x}

    Shapes: ``low, high`` (...); `function` maps (...) to (...), each number by itself and strictly increasing.

    Source: Press et al. 2007, "Numerical recipes", section 9.4 (safeguarded Newton); Blondel et al. 2022,
    "Efficient and modular implicit differentiation", eq. 4.

    >>> round(float(jax.grad(lambda y: increasing_root(lambda x: x**3 - y, jnp.zeros(()), y))(jnp.array(8.0))), 4)
    0.0833
    """

    def solve(function: Function, start: Array) -> Array:
        return _search(function, start, low, high)

    def tangent(linear: Function, y: Array) -> Array:
        return y / linear(jnp.ones_like(y))

    return lax.custom_root(function, (low + high) / 2, solve, tangent)


def _steps(dtype: np.dtype[np.floating]) -> int:
    """Bisections alone would need as many as the mantissa has bits; Newton's steps need far fewer."""
    return int(np.finfo(dtype).nmant) + 13


def _search(function: Function, start: Array, low: Array, high: Array) -> Array:
    def step(_: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, low, high, last = state
        value, slope = jax.jvp(function, (x,), (jnp.ones_like(x),))
        low, high = jnp.where(value < 0, x, low), jnp.where(value > 0, x, high)
        newton = x - value / slope
        trusted = (newton >= low) & (newton <= high) & (jnp.abs(2 * value) <= jnp.abs(last * slope))
        moved = jnp.where(trusted, newton, low + (high - low) / 2)
        moved = jnp.where(value == 0, x, moved)
        return moved, low, high, moved - x

    state = (start, low, high, high - low)
    return lax.fori_loop(0, _steps(start.dtype), step, state)[0]
