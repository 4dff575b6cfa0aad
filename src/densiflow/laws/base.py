"""The laws of a base."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.bases.base import Base
from densiflow.fixed import combine, partition
from densiflow.laws import integral, points
from densiflow.laws.reload import changed_by_saving
from densiflow.laws.trial import Broken, Case, Law, Numbers, Precision, broken_laws, not_finite, report

DRAWS = 16384


def check_base(base: Base, key: Array | None = None, *, dtype: Precision = "float64") -> None:
    """Raise `AssertionError` for the first law that a base breaks.

    Every law is tried on the base as given and with its trained parameters moved by a little noise, cast to
    `dtype`. Its class need not be registered.

    >>> from densiflow.bases import Normal
    >>> check_base(Normal(2, mean=[1.0, 0.0], scale=[0.5, 3.0]))
    """
    report(base, broken_by(base, key, dtype=dtype))


def broken_by(base: Base, key: Array | None = None, *, dtype: Precision = "float64") -> list[Broken]:
    """Every law that a base breaks."""
    return broken_laws(base, LAWS, BaseCase, key, dtype)


@dataclass
class BaseCase(Case[Base]):
    """A base, rows inside its support, and samples of it."""

    @cached_property
    def z(self) -> Array:
        """Rows (n, dim) inside the support."""
        shape = (points.rows_for(self.thing.dim, self.thing.context_dim), self.thing.dim)
        return jnp.asarray(points.inside(self.thing.support, self.rng, shape), self.dtype)

    @cached_property
    def context(self) -> Array | None:
        """One context (context_dim,) for all rows, None where the base takes none."""
        width = self.thing.context_dim
        return jnp.asarray(self.rng.normal(size=width), self.dtype) if width else None

    def log_prob(self, z: Any) -> Numbers:
        """Log densities of rows (n, dim)."""
        return np.asarray(_log_prob(self.thing, jnp.asarray(z, self.dtype), self.context), np.float64)

    @cached_property
    def keys(self) -> Array:
        """A key for each sample."""
        return jax.random.split(self.key, integral.GUIDES + DRAWS)

    @cached_property
    def samples(self) -> Numbers:
        """One sample (dim,) for each key."""
        return np.asarray(_sample(self.thing, self.keys, self.context), np.float64)

    @cached_property
    def weighted(self) -> integral.Weighted:
        """The density as seen by importance sampling."""
        return integral.weighted(self.log_prob, self.samples[: integral.GUIDES], self.rng)


@jax.jit
def _log_prob(base: Base, z: Array, context: Array | None) -> Array:
    return jax.vmap(base.log_prob, (0, None))(z, context)


@jax.jit
def _sample(base: Base, keys: Array, context: Array | None) -> Array:
    return jax.vmap(base.sample, (0, None))(keys, context)


def shapes_follow_the_batch(case: BaseCase) -> str | None:
    """A row (dim,) has a density (); a key gives a row (dim,); both in the base's own type."""
    base, context = case.thing, case.context
    for name, seen, shape in (
        ("log_prob", jax.eval_shape(base.log_prob, case.z[0], context), ()),
        ("sample", jax.eval_shape(base.sample, case.key, context), (base.dim,)),
    ):
        if seen.shape != shape or seen.dtype != case.dtype:
            return f"{name} gives {seen.shape} {seen.dtype}, wanted {shape} {case.dtype}"
    return None


def samples_lie_in_the_support(case: BaseCase) -> str | None:
    """Every sample is a finite row of the declared support, with a density there."""
    support, samples = case.thing.support, case.samples
    outside = samples[~((samples > support.lower) & (samples < support.upper))]
    if outside.size:
        return f"a sample holds {outside[0]:.3g}, outside the declared support {support.name}"
    if not np.isfinite(case.log_prob(samples)).all():
        return "a sample's log density is not finite"
    return None


def density_sums_to_one(case: BaseCase) -> str | None:
    """The density sums to one."""
    return integral.sum_differs(case.weighted)


def samples_follow_the_density(case: BaseCase) -> str | None:
    """Samples have the means that the density gives them."""
    return integral.samples_differ(case.weighted, case.samples[integral.GUIDES :], case.rng)


def samples_follow_the_key(case: BaseCase) -> str | None:
    """Different keys give different rows, and neighbouring rows have nothing to do with each other."""
    if len(np.unique(case.samples, axis=0)) < len(case.samples) / 2:
        return "different keys give the same sample"
    ranks = np.argsort(np.argsort(case.samples, axis=0), axis=0)  # for any tails
    for column in ranks.T:
        correlation = float(np.corrcoef(column[:-1], column[1:])[0, 1])
        if abs(correlation) > integral.ERRORS / np.sqrt(len(column)):
            return f"neighbouring samples have correlation {correlation:.2g}"
    return None


def minus_infinity_outside(case: BaseCase) -> str | None:
    """Outside the support, at infinity too, the log density is -inf, never NaN."""
    rows = points.outside(case.thing.support, np.asarray(case.z))
    log_prob = case.log_prob(rows)
    wrong = log_prob != -np.inf
    return f"its log density is {log_prob[wrong][0]:.3g} at {rows[wrong][0].tolist()}" if wrong.any() else None


def density_sees_the_context(case: BaseCase) -> str | None:
    """The density of some row changes with every column of the context."""
    if case.context is None or not case.is_moved:
        return None
    _, _, by_context = _gradients(case.thing, case.z, case.context)[0]
    for j in np.flatnonzero(np.asarray(by_context) == 0):
        return f"its density does not see column {j} of the context"
    return None


def survives_save_and_load(case: BaseCase) -> str | None:
    """What a model file gives back has the same fields and gives the same results, bit for bit."""
    return changed_by_saving(
        case.thing,
        lambda base: (_log_prob(base, case.z, case.context), _sample(base, case.keys, case.context)),
    )


def gradients_are_finite(case: BaseCase) -> str | None:
    """No derivative of the density is infinite or NaN, also for rows a million times farther out."""
    far = jnp.asarray(points.far(case.thing.support, np.asarray(case.z, np.float64)), case.dtype)
    for where, z in (("", case.z), (f" for rows {points.FAR:.0e} times farther out", far)):
        (parameters, row, context), tangent = _gradients(case.thing, z, case.context)
        for name, part in (("parameters", parameters), ("row", row), ("context", context)):
            if not_finite(part):
                return f"the gradient of log_prob in the {name} is not finite{where}"
        if not_finite(tangent):
            return f"the forward derivative of log_prob is not finite{where}"
    return None


@jax.jit
def _gradients(base: Base, z: Array, context: Array | None) -> tuple[Any, Array]:
    """Reverse mode by each input and forward mode along all of them, of the sum of the log densities."""
    trained, rest = partition(base)

    def total(inputs: tuple[Base, Array, Array | None]) -> Array:
        trained, z, context = inputs
        return jnp.sum(_log_prob(combine(trained, rest), z, context))

    inputs = (trained, z, context)
    return jax.grad(total)(inputs), jax.jvp(total, (inputs,), (jax.tree.map(jnp.ones_like, inputs),))[1]


LAWS: tuple[Law[BaseCase], ...] = (
    shapes_follow_the_batch,
    samples_lie_in_the_support,
    density_sums_to_one,
    samples_follow_the_density,
    samples_follow_the_key,
    minus_infinity_outside,
    density_sees_the_context,
    survives_save_and_load,
    gradients_are_finite,
)
