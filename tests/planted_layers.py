"""Wrong layers of the kinds that recipes are made of, and wrong uniform bases; their right relatives first."""

import jax
import jax.numpy as jnp
import numpy as np
from planted import Bell, ShiftAndScale

from densiflow.spaces import Space


class TanhCoupling(ShiftAndScale):
    """A right one: the first column goes through, the others are scaled and shifted by it and the context."""

    def _told(self, first, context):
        told = jnp.tanh(first) if context is None else jnp.tanh(first) + jnp.sum(context)
        return jnp.sin(told + self.shift[1:]), 0.5 * jnp.cos(told - self.log_scale[1:])

    def to_base(self, x, context=None):
        shift, log_scale = self._told(x[0], context)
        return x.at[1:].set((x[1:] - shift) * jnp.exp(-log_scale)), -jnp.sum(log_scale)

    def to_data(self, z, context=None):
        shift, log_scale = self._told(z[0], context)
        return z.at[1:].set(z[1:] * jnp.exp(log_scale) + shift), jnp.sum(log_scale)

    def dependence(self):
        pattern = np.eye(self.dim, dtype=bool)
        pattern[:, 0] = True
        return pattern


class CouplingLeavesOutItsLastColumn(TanhCoupling):
    """The log_det of one column too few, the same both ways."""

    def to_base(self, x, context=None):
        log_scale = self._told(x[0], context)[1]
        return TanhCoupling.to_base(self, x, context)[0], -jnp.sum(log_scale[:-1])

    def to_data(self, z, context=None):
        log_scale = self._told(z[0], context)[1]
        return TanhCoupling.to_data(self, z, context)[0], jnp.sum(log_scale[:-1])


class CouplingReadsWhatItMoves(TanhCoupling):
    """On the way back it reads the first column of the wrong half."""

    def to_data(self, z, context=None):
        shift, log_scale = self._told(z[-1], context)
        return z.at[1:].set(z[1:] * jnp.exp(log_scale) + shift), jnp.sum(log_scale)


class CouplingForgetsItsContext(TanhCoupling):
    """Takes a context and tells its network nothing of it."""

    def _told(self, first, context):
        return TanhCoupling._told(self, first, None)


class ReversesAndForgetsItsContext(ShiftAndScale):
    """Every output is a copy, so that no output is left to see the context."""

    def to_base(self, x, context=None):
        return x[::-1], jnp.zeros((), x.dtype)

    to_data = to_base

    def dependence(self):
        return np.eye(self.dim, dtype=bool)[::-1]


class PermutationNotUndone(ShiftAndScale):
    """A cycle of three, applied once more where it should be undone; a swap of two would hide it."""

    def __init__(self):
        ShiftAndScale.__init__(self, 3)

    def to_base(self, x, context=None):
        return jnp.roll(x, 1), jnp.zeros((), x.dtype)

    to_data = to_base

    def dependence(self):
        return np.roll(np.eye(3, dtype=bool), 1, axis=0)


class PlanarFolds(ShiftAndScale):
    """z = x + u tanh(w.x) with w.u = -2, below the -1 that keeps it monotone: three rows land on one."""

    def to_base(self, x, context=None):
        tanh = jnp.tanh(x[0])
        return x.at[0].add(-2 * tanh).at[1].add(tanh), jnp.log(jnp.abs(1 - 2 * (1 - tanh**2)))

    def to_data(self, z, context=None):
        def halve(_, ends):
            middle = jnp.mean(ends)
            is_above = middle - 2 * jnp.tanh(middle) > z[0]
            return jnp.where(is_above, ends.at[1].set(middle), ends.at[0].set(middle))

        first = jnp.mean(jax.lax.fori_loop(0, 60, halve, jnp.stack([z[0] - 3, z[0] + 3])))
        x = jnp.stack([first, z[1] - jnp.tanh(first)])
        return x, -self.to_base(x)[1]

    def dependence(self):
        return np.array([[True, False], [True, True]])


class SplineTailsJump(ShiftAndScale):
    """A smooth bend up to `edge`, and tails that start half a unit farther out than the bend ends."""

    edge = 2.0

    def dependence(self):
        return np.eye(self.dim, dtype=bool)

    def to_base(self, x, context=None):
        inside = jnp.abs(x) <= self.edge
        u = jnp.where(inside, x / self.edge, 0.5)
        bent = self.edge * u * (1 + u**2) / 2
        slope = jnp.where(inside, (1 + 3 * u**2) / 2, 1.0)
        return jnp.where(inside, bent, x + 0.5 * jnp.sign(x)), jnp.sum(jnp.log(slope))

    def to_data(self, z, context=None):
        inside = jnp.abs(z) <= self.edge

        def newton(_, u):
            return u - (u * (1 + u**2) / 2 - z / self.edge) / ((1 + 3 * u**2) / 2)

        u = jax.lax.fori_loop(0, 30, newton, jnp.clip(z / self.edge, -1.0, 1.0))
        x = jnp.where(inside, self.edge * u, jnp.sign(z) * jnp.maximum(jnp.abs(z) - 0.5, self.edge))
        return x, -self.to_base(x)[1]


class Flat(Bell):
    """A right one: uniform on a box whose axes differ."""

    @property
    def support(self):
        return Space("box", (0.0, -3.0), (2.0, 1.0))

    def _is_inside(self, z):
        return jnp.all((z >= jnp.array([0.0, -3.0])) & (z <= jnp.array([2.0, 1.0])))

    def log_prob(self, z, context=None):
        return jnp.where(self._is_inside(z), -jnp.log(jnp.asarray(8.0, z.dtype)), -jnp.inf)

    def sample(self, key, context=None):
        u = jax.random.uniform(key, (2,), self.mean.dtype, 1e-6, 1 - 1e-6)
        return jnp.array([0.0, -3.0], u.dtype) + jnp.array([2.0, 4.0], u.dtype) * u


class VolumeForgotten(Flat):
    def log_prob(self, z, context=None):
        return jnp.where(self._is_inside(z), jnp.zeros((), z.dtype), -jnp.inf)


class FlatNaNOutside(Flat):
    """The logarithm of a density that becomes negative."""

    def log_prob(self, z, context=None):
        return jnp.log(jnp.where(self._is_inside(z), 1.0, -1.0) / jnp.asarray(8.0, z.dtype))


class FlatEverywhere(Flat):
    """Does not end where its support does."""

    def log_prob(self, z, context=None):
        return -jnp.log(jnp.asarray(8.0, z.dtype))


class FlatSamplesOfOneAxis(Flat):
    """Samples of the first axis's bounds on every axis."""

    def sample(self, key, context=None):
        return 2 * jax.random.uniform(key, (2,), self.mean.dtype, 1e-6, 1 - 1e-6)
