"""The laws of a bijection."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.bijections.base import Bijection
from densiflow.fixed import combine, partition
from densiflow.laws import integral, points
from densiflow.laws.reload import changed_by_saving
from densiflow.laws.travel import WAYS, BijectionCase, Way, travel
from densiflow.laws.trial import (
    EXACT,
    Broken,
    Law,
    Numbers,
    Precision,
    broken_laws,
    largest_difference,
    not_finite,
    report,
)
from densiflow.spaces import REAL

TRUNCATION = 1e-5  # the relative error of a central difference


def check_bijection(bijection: Bijection, key: Array | None = None, *, dtype: Precision = "float64") -> None:
    """Raise `AssertionError` for the first law that a bijection breaks.

    Every law is tried on the bijection as given and with its trained parameters moved by a little noise, on rows
    inside its declared domain and codomain, cast to `dtype`. Its class need not be registered.

    >>> from densiflow.bijections import Elementwise
    >>> check_bijection(Elementwise([1.0, 2.0], [0.5, 3.0]))
    """
    report(bijection, broken_by(bijection, key, dtype=dtype))


def broken_by(bijection: Bijection, key: Array | None = None, *, dtype: Precision = "float64") -> list[Broken]:
    """Every law that a bijection breaks."""
    return broken_laws(bijection, LAWS, BijectionCase, key, dtype)


def shapes_follow_the_batch(case: BijectionCase) -> str | None:
    """One row gives (dim,) and (), n rows give (n, dim) and (n,), all in the bijection's own type."""
    n = points.rows_for(*case.widths)
    for way in WAYS:
        start, context = case.start[way], case.context
        for method, arrays, batch in ((way, (start[0], None if context is None else context[0]), ()),
                                      (f"{way}_rows", (start, context), (n,))):  # fmt: skip
            value, log_det = jax.eval_shape(getattr(case.thing, method), *arrays)
            for name, seen, shape in (("value", value, (*batch, case.thing.dim)), ("log_det", log_det, batch)):
                if seen.shape != shape or seen.dtype != case.dtype:
                    return f"{method} gives a {name} of {seen.shape} {seen.dtype}, wanted {shape} {case.dtype}"
    return None


def rows_equal_one_row(case: BijectionCase) -> str | None:
    """`to_base_rows` and `to_data_rows` give what `to_base` and `to_data` give row by row."""
    for way in WAYS:
        trip, tolerance = case.trips[way], case.tolerances[way]
        for name, many, one, allowed in (("value", trip.value, trip.one_value, tolerance.value),
                                         ("log_det", trip.log_det, trip.one_log_det, tolerance.log_det)):  # fmt: skip
            difference = largest_difference(many, one, allowed)
            if difference is not None:
                return f"{way}_rows differs from {way} by {difference:.2g} in its {name}"
    return None


def round_trip(case: BijectionCase) -> str | None:
    """There and back again is the identity, both ways around."""
    for way in WAYS:
        difference = largest_difference(case.trips[way].back, case.start[way], case.tolerances[way].back)
        if difference is not None:
            return f"{way} and back differs from where it started by {difference:.2g}"
    return None


def log_dets_cancel(case: BijectionCase) -> str | None:
    """The log_dets of there and back sum to zero."""
    for way in WAYS:
        trip = case.trips[way]
        difference = largest_difference(trip.log_det, -trip.back_log_det, case.tolerances[way].back_log_det)
        if difference is not None:
            return f"the log_dets of {way} and back sum to {difference:.2g}"
    return None


def log_det_is_the_jacobian(case: BijectionCase) -> str | None:
    """log_det is log abs det of the Jacobian, in forward and in reverse mode."""
    for way in WAYS:
        slopes, tolerance = case.slopes[way], case.tolerances[way]
        for mode, jacobian in (("Jacobian", slopes.jacobian), ("reverse-mode Jacobian", slopes.reverse)):
            volume = np.linalg.slogdet(np.asarray(jacobian))[1]
            difference = largest_difference(
                case.trips[way].log_det, volume, tolerance.log_det + EXACT * tolerance.condition
            )
            if difference is not None:
                return f"log_det differs from the {mode}'s by {difference:.2g}, {way}"
    return None


def log_det_is_the_finite_difference(case: BijectionCase) -> str | None:
    """log_det is that of central differences, which no derivative rule can mislead; float64 only.

    A row in ten may differ: there is no derivative on both sides of a kink.
    """
    if case.dtype != np.float64:
        return None
    for way in WAYS:
        volume = np.linalg.slogdet(np.asarray(case.slopes[way].difference))[1]
        difference = np.abs(volume - np.asarray(case.trips[way].log_det))
        if not np.quantile(difference / (1 + case.tolerances[way].condition), 0.9) <= TRUNCATION:
            return f"log_det differs from the finite differences' by {np.max(difference):.2g}, {way}"
    return None


def lands_in_the_declared_space(case: BijectionCase) -> str | None:
    """Rows of the domain land in the codomain, and the other way around."""
    for way, space in (("to_base", case.thing.codomain), ("to_data", case.thing.domain)):
        value = np.asarray(case.trips[way].value)  # type: ignore[index]
        outside = value[~((value > space.lower) & (value < space.upper))]
        if outside.size:
            return f"{way} lands on {outside[0]:.3g}, outside the declared space {space.name}"
    return None


def depends_exactly_as_declared(case: BijectionCase) -> str | None:
    """z_i changes with x_j where `dependence` says so, on some row at least, and nowhere else."""
    declared = case.thing.dependence()
    if declared is None or not case.is_moved:  # a start at the identity need not depend on anything yet
        return None
    for i, j in np.argwhere(case.reach.by_row & ~declared):
        return f"z_{i} depends on x_{j}, which it does not declare"
    for i, j in np.argwhere(declared & ~case.reach.by_row):
        return f"z_{i} does not depend on x_{j}, which it declares"
    return None


def every_output_sees_the_context(case: BijectionCase) -> str | None:
    """Every z_i changes with every column of the context.

    An output that is some x_j as it came, whatever the parameters, need not, as in a coupling layer: but then
    another one does.
    """
    if case.context is None or not case.is_moved:
        return None
    excused = case.reach.copied & ~case.reach.copied.all()
    for i, j in np.argwhere(~case.reach.by_context & ~excused[:, None]):
        return f"z_{i} does not see column {j} of the context"
    return None


def rows_do_not_mix(case: BijectionCase) -> str | None:
    """Another first row and first context leave the results of every other row as they were."""
    context = None if case.context is None else _with_first(case.context, np.asarray(case.context)[0] + 1)
    for way in WAYS:
        before, tolerance = case.trips[way], case.tolerances[way]
        after = travel(case.thing, way, _with_first(case.start[way], case.far(way)[0]), context)
        for seen, wanted, allowed in ((after.value, before.value, tolerance.value),
                                      (after.log_det, before.log_det, tolerance.log_det)):  # fmt: skip
            difference = largest_difference(seen[1:], wanted[1:], allowed[1:])
            if difference is not None:
                return f"{way}_rows changes other rows by {difference:.2g} when the first one changes"
    return None


def _with_first(rows: Array, first: Any) -> Array:
    changed = np.array(rows)
    changed[0] = first
    return jnp.asarray(changed)


def survives_save_and_load(case: BijectionCase) -> str | None:
    """What a model file gives back has the same fields and gives the same results, bit for bit."""
    return changed_by_saving(
        case.thing, lambda bijection: [travel(bijection, way, case.start[way], case.context) for way in WAYS]
    )


def gradients_are_finite(case: BijectionCase) -> str | None:
    """No derivative is infinite or NaN, in either mode, also for rows a million times farther out.

    Rows so far out that the map itself overflows are excused, as those of an exponential.
    """
    for way in WAYS:
        far = _where_not_infinite(case, way, case.far(way))
        for where, start in (("", case.start[way]), (f" for rows {points.FAR:.0e} times farther out", far)):
            (parameters, row, context), tangent = _gradients(case.thing, way, start, case.context)
            for name, part in (("parameters", parameters), ("row", row), ("context", context)):
                if not_finite(part):
                    return f"the gradient of {way} in the {name} is not finite{where}"
            if not_finite(tangent):
                return f"the forward derivative of {way} is not finite{where}"
    return None


def _where_not_infinite(case: BijectionCase, way: Way, rows: Array) -> Array:
    """The rows whose images hold no infinity (NaN is no excuse), the starting rows in place of the others."""
    trip = travel(case.thing, way, rows, case.context)
    infinite = np.isinf(trip.value).any(axis=1) | np.isinf(trip.log_det)
    return jnp.where(infinite[:, None], case.start[way], rows)


@partial(jax.jit, static_argnames="way")
def _gradients(bijection: Bijection, way: Way, start: Array, context: Array | None) -> tuple[Any, Array]:
    """Reverse mode by each input and forward mode along all of them, of the sum of all results."""
    trained, rest = partition(bijection)

    def total(inputs: tuple[Bijection, Array, Array | None]) -> Array:
        trained, start, context = inputs
        value, log_det = getattr(combine(trained, rest), f"{way}_rows")(start, context)
        return jnp.sum(value) + jnp.sum(log_det)

    inputs = (trained, start, context)
    return jax.grad(total)(inputs), jax.jvp(total, (inputs,), (jax.tree.map(jnp.ones_like, inputs),))[1]


def density_sums_to_one(case: BijectionCase) -> str | None:
    """The density that it makes of a standard normal base sums to one; tried for one or two real columns."""
    bijection = case.thing
    if bijection.dim > 2 or (bijection.domain, bijection.codomain) != (REAL, REAL):
        return None
    context = None if case.context is None else case.context[0]
    z = jnp.asarray(case.rng.normal(size=(integral.GUIDES, bijection.dim)), case.dtype)

    def log_prob(x: Numbers) -> Numbers:
        return np.asarray(_log_prob(bijection, jnp.asarray(x, case.dtype), context), np.float64)

    samples = np.asarray(_pushed(bijection, z, context), np.float64)
    return integral.sum_differs(integral.weighted(log_prob, samples, case.rng))


@jax.jit
def _pushed(bijection: Bijection, z: Array, context: Array | None) -> Array:
    return bijection.to_data_rows(z, _for_all(context, z))[0]


@jax.jit
def _log_prob(bijection: Bijection, x: Array, context: Array | None) -> Array:
    z, log_det = bijection.to_base_rows(x, _for_all(context, x))
    return jnp.sum(jax.scipy.stats.norm.logpdf(z), axis=-1) + log_det


def _for_all(context: Array | None, rows: Array) -> Array | None:
    return None if context is None else jnp.broadcast_to(context, (len(rows), len(context)))


LAWS: tuple[Law[BijectionCase], ...] = (
    shapes_follow_the_batch,
    rows_equal_one_row,
    round_trip,
    log_dets_cancel,
    log_det_is_the_jacobian,
    log_det_is_the_finite_difference,
    lands_in_the_declared_space,
    depends_exactly_as_declared,
    every_output_sees_the_context,
    rows_do_not_mix,
    survives_save_and_load,
    gradients_are_finite,
    density_sums_to_one,
)
