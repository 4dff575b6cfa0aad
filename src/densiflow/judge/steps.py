"""A flow taken apart: where a row is after each of its layers, on the way from base space to data."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from densiflow.bijections import Chain, Inverse, Permute, Stack
from densiflow.bijections.base import Bijection, context_for
from densiflow.flow import Flow, over_rows


def steps(bijection: Bijection) -> list[Bijection]:
    """The bijections that a composition is made of, from data to base, with none of them a composition itself.

    >>> from densiflow.bijections import Elementwise
    >>> scale, reverse = Elementwise([0.0, 0.0], [2.0, 3.0]), Permute([1, 0])
    >>> [type(step).__name__ for step in steps(Chain([Stack.of([Chain([scale, reverse])]), scale]))]
    ['Elementwise', 'Permute', 'Elementwise']
    """
    match bijection:
        case Chain():
            return [step for member in bijection.members for step in steps(member)]
        case Stack():
            return [step for layer in bijection.unstacked() for step in steps(layer)]
        case Inverse():
            return [Inverse(step) for step in reversed(steps(bijection.inner))]
        case _:
            return [bijection]


def moves(bijection: Bijection) -> list[list[Bijection]]:
    """The steps from base to data, grouped so that a reordering of columns goes with the layer it prepares for."""
    groups: list[list[Bijection]] = [[]]
    for step in reversed(steps(bijection)):
        groups[-1].append(step)
        if not _is_permutation(step):
            groups.append([])
    last = groups.pop()  # reorderings with no layer after them go with the one before
    return [*groups[:-1], groups[-1] + last] if groups else [last]


def positions(flow: Flow, z: ArrayLike, context: ArrayLike | None = None) -> Array:
    """Rows of base space (n, dim) after none, one, two, ... and all moves, the flow's scaling with the last."""
    along: Array = over_rows(_positions, flow, z, context)
    return jnp.moveaxis(along, -2, 0)


@jax.jit
def _positions(flow: Flow, z: Array, context: Array | None) -> Array:
    context = flow.context_as_seen(context)
    along = [z]
    for move in moves(flow.bijection):
        value = along[-1]
        for step in move:
            value, _ = step.to_data_rows(value, context_for(step, context))
        along.append(value)
    along[-1], _ = flow.scaling.value.to_data_rows(along[-1])
    return jnp.stack(along, axis=1)


def column_orders(bijection: Bijection) -> np.ndarray:
    """Which column after each move ends, by the reorderings still to come, as which column of data: (moves + 1, dim).

    >>> column_orders(Chain([Permute([2, 0, 1]), Permute([1, 0, 2])])).tolist()
    [[0, 2, 1], [0, 1, 2]]
    """
    orders = [np.arange(bijection.dim)]
    for move in reversed(moves(bijection)):
        order = orders[0]
        for step in reversed(move):
            if _is_permutation(step):
                order = np.asarray(step.to_data(jnp.arange(bijection.dim))[0])[order]
        orders.insert(0, order)
    return np.stack(orders)


def _is_permutation(step: Bijection) -> bool:
    return isinstance(step.inner if isinstance(step, Inverse) else step, Permute)
