"""From base to data in one pass of a masked network, instead of one for every column.

A unit of degree d reads the columns before d alone. So it can be computed as soon as these are known, and never again:
columns come out in groups, and what a group's units say to all that follow is one product a layer. Only inside a
group, whose products are small, do columns wait for each other. Everything together is the arithmetic of a single
pass, and a little.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.networks.triangular import Ends, TriangularNetwork, as_columns, masked
from densiflow.scalars.base import ScalarMap


def one_pass(
    scalar: ScalarMap, size: int, network: TriangularNetwork, z: Array, context: Array | None
) -> tuple[Array, Array]:
    """Many rows to data, by groups of `size` columns: z (dim, n), context (c, n) to x (dim, n), log_det (n,)."""
    # what each product has said so far, to its readers from some place on: first of all bias and context
    said = [[_Said(0, as_columns(network.added(k, context)))] for k in range(len(network.weights))]
    groups, log_det = [], jnp.zeros(z.shape[1], z.dtype)
    for start in range(0, network.dim, size):
        end = min(start + size, network.dim)
        inside = [_Inside.of(network, k, start, end, said[k], z.shape[1]) for k in range(len(said))]
        group, log_det = _invert(network, scalar, inside, z[start:end], log_det)
        groups.append(group)
        if end < network.dim:
            for k, units in enumerate(_units(network, inside, group)):
                said[k].append(_said_later(network.weights[k], network.ends()[k], end, inside[k].read, units))
    return jnp.concatenate(groups), log_det


class _Said(NamedTuple):
    """What readers were given by columns known: its readers from `first` on, (units, n)."""

    first: int
    values: Array

    def to(self, readers: slice) -> Array:
        return self.values[readers.start - self.first : readers.stop - self.first]


class _Inside(NamedTuple):
    """A product between the units of one group of columns."""

    before: Array  # what its readers were given by everything outside the group (units, n)
    block: Array | None  # the weights inside the group; None where no unit reads another
    read: slice  # where what it reads stands

    @classmethod
    def of(cls, network: TriangularNetwork, k: int, start: int, end: int, said: list[_Said], n: int) -> "_Inside":
        ends = network.ends()[k]
        readers = _between(ends.reader, start, end)
        read = _between(ends.read, start + (k == 0), end + (k == 0))  # a column's degree is that of who may read it
        shape = (readers.stop - readers.start, n)
        before = sum((part.to(readers) for part in said), jnp.zeros(shape, said[0].values.dtype))
        return cls(before, masked(network.weights[k], ends, readers, read), read)

    def __call__(self, units: Array) -> Array:
        return self.before if self.block is None else self.before + self.block @ units


def _invert(
    network: TriangularNetwork, scalar: ScalarMap, inside: list[_Inside], z: Array, log_det: Array
) -> tuple[Array, Array]:
    """One group, column by column: z (size, n) to x (size, n), with its log_det added to that of those before."""
    size, n = z.shape

    def column(i: Any, known: tuple[Array, Array]) -> tuple[Array, Array]:
        x, log_det = known  # columns after i are still zero; nothing that column i reads is among them
        theta = network.through(lambda k, units: inside[k](units), x).reshape(size, network.parameters, n)
        x_i, log_slope = scalar.to_data(z[i], jnp.moveaxis(theta[i], 0, -1))
        return x.at[i].set(x_i), log_det + log_slope

    known = (jnp.zeros_like(z), log_det)
    return column(0, known) if size == 1 else lax.fori_loop(0, size, column, known)


def _units(network: TriangularNetwork, inside: list[_Inside], x: Array) -> list[Array]:
    """What each product reads of a group whose columns are known."""
    read: dict[int, Array] = {}

    def product(k: int, units: Array) -> Array:
        read[k] = units
        return inside[k](units)

    network.through(product, x)
    return [read[k] for k in range(len(inside))]


def _said_later(weight: Array, ends: Ends, end: int, read: slice, units: Array) -> _Said:
    """What a group says to the readers of all columns after it: they read the whole of it, so there is no mask."""
    later = int(np.searchsorted(ends.reader, end))
    return _Said(later, weight[later:, read] @ units)


def _between(degrees: np.ndarray, first: int, end: int) -> slice:
    """Where the units of degrees first .. end - 1 stand."""
    return slice(*np.searchsorted(degrees, [first, end]).tolist())
