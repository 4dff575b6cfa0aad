"""The laws of a flow, seen through its public methods alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow.errors import ContextError
from densiflow.flow import Flow
from densiflow.laws import integral, points
from densiflow.laws.flow_case import CONTEXTS, FlowCase, case_of, gradients, sample_gradients
from densiflow.laws.reload import changed_by_saving
from densiflow.laws.trial import (
    Broken,
    Law,
    Numbers,
    Precision,
    anywhere,
    broken_laws,
    largest_difference,
    not_finite,
    report,
)


def check_flow(flow: Flow, key: Array | None = None, *, dtype: Precision = "float64") -> None:
    """Raise `AssertionError` for the first law that a flow breaks.

    Every law is tried on the flow as given, and with its trained parameters moved by a little noise and data and
    context standardised to some mean and scale, cast to `dtype`. `check_bijection` and `check_base` look closer
    at its parts.

    >>> from densiflow import bases, bijections
    >>> check_flow(Flow(bijections.Elementwise([1.0], [2.0]), bases.Normal(1)))
    """
    report(flow, broken_by(flow, key, dtype=dtype))


def broken_by(flow: Flow, key: Array | None = None, *, dtype: Precision = "float64") -> list[Broken]:
    """Every law that a flow breaks."""
    return broken_laws(flow, LAWS, case_of, key, dtype)


def shapes_follow_the_batch(case: FlowCase) -> str | None:
    """Leading axes of rows and contexts broadcast as in numpy; samples come first; the flow's own type throughout."""
    flow, n, m, dim = case.thing, len(case.x), CONTEXTS, case.thing.dim
    x, key, one = case.x, case.key, case.one_context
    context = None if case.context is None else case.context[:m]
    given: tuple[int, ...] = () if context is None else (m,)
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
        "log_prob of one row": (flow.log_prob(x[0], one), ()),
        "log_prob of rows": (flow.log_prob(x, one), (n,)),
        "log_prob of no rows": (flow.log_prob(x[:0], one), (0,)),
        "log_prob of rows (n, 1, dim)": (flow.log_prob(x[:, None], context), (n, *(given or (1,)))),
        "the value of to_base": (flow.to_base(x, one)[0], (n, dim)),
        "the log_det of to_base": (flow.to_base(x, one)[1], (n,)),
        "the value of to_data": (flow.to_data(x[0], one)[0], (dim,)),
        "the log_det of to_data": (flow.to_data(x[0], one)[1], ()),
        "sample for one context": (flow.sample(key, n, one), (n, dim)),
        "sample": (flow.sample(key, n, context), (n, *given, dim)),
        "the log_prob of samples": (flow.sample_and_log_prob(key, n, context)[1], (n, *given)),
    }
    for name, (seen, shape) in wanted.items():
        if seen.shape != shape or seen.dtype != case.dtype:
            return f"{name} has {seen.shape} {seen.dtype}, wanted {shape} {case.dtype}"
    return None


def contexts_broadcast(case: FlowCase) -> str | None:
    """Every row under every context gives what each pair gives by itself."""
    if case.context is None:
        return None
    together = case.thing.log_prob(case.x[:8, None], case.context[:8])
    difference = largest_difference(jnp.diagonal(together), case.log_prob[:8], _own_tolerance(case)[:8])
    return None if difference is None else f"log_prob of rows times contexts differs by {difference:.2g}"


def _own_tolerance(case: FlowCase) -> Numbers:
    return case.tolerance(case.log_prob, case.x, case.gradients.row)


def round_trip(case: FlowCase) -> str | None:
    """There and back again is the identity, both ways around."""
    for way, journey in case.journeys.items():
        difference = largest_difference(journey.back, journey.start, journey.back_tolerance)
        if difference is not None:
            return f"{way} and back differs from where it started by {difference:.2g}"
    return None


def log_det_is_the_jacobian(case: FlowCase) -> str | None:
    """log_det of `to_base` is log abs det of its Jacobian, that of `to_data` its negative."""
    for journey in case.journeys.values():
        for way, seen in (("to_base", journey.log_det), ("to_data", -journey.back_log_det)):
            difference = largest_difference(seen, journey.volume, journey.log_det_tolerance)
            if difference is not None:
                return f"log_det of {way} differs from the Jacobian's by {difference:.2g}"
    return None


def log_prob_is_base_plus_log_det(case: FlowCase) -> str | None:
    """The log density is the base's, where `to_base` lands, plus its log_det."""
    flow, context = case.thing, case.context
    z, log_det = flow.to_base(case.x, context)
    context = flow.context_as_seen(context)
    base = jax.vmap(flow.base.log_prob)(z, context if flow.base.context_dim else None)
    difference = largest_difference(base + log_det, case.log_prob, _own_tolerance(case))
    return None if difference is None else f"log_prob differs from base plus log_det by {difference:.2g}"


def samples_agree_with_their_log_prob(case: FlowCase) -> str | None:
    """`sample_and_log_prob` gives the rows of `sample` and the densities of `log_prob`."""
    flow, context = case.thing, case.context if case.context is None else case.context[:CONTEXTS]
    n = len(case.x)
    x, log_prob = flow.sample_and_log_prob(case.key, n, context)
    if largest_difference(x, flow.sample(case.key, n, context), case.rounding * (1 + np.abs(x))) is not None:
        return "sample_and_log_prob does not give the rows of sample"
    rows = x.reshape(-1, flow.dim)[:n]
    contexts = None if context is None else jnp.tile(context, (n, 1))[:n]
    again = flow.log_prob(x, context).reshape(-1)[:n]
    by_row = gradients(flow, rows, contexts).row
    difference = largest_difference(log_prob.reshape(-1)[:n], again, case.tolerance(again, rows, by_row))
    return None if difference is None else f"sample_and_log_prob differs from log_prob by {difference:.2g}"


def samples_follow_the_key(case: FlowCase) -> str | None:
    """A row depends on the key and its place alone, not on how many are drawn; another key gives other rows."""
    few = np.asarray(case.thing.sample(case.key, 7, case.one_context), np.float64)
    if largest_difference(few, case.samples[:7], case.rounding * (1 + np.abs(few))) is not None:
        return "the first samples change with the number of samples"
    other = np.asarray(case.thing.sample(jax.random.fold_in(case.key, 1), 7, case.one_context), np.float64)
    return "another key gives the same samples" if np.any(np.all(other == few, axis=0)) else None


def samples_follow_the_density(case: FlowCase) -> str | None:
    """Samples have the means that the density gives them.

    In more columns than can be integrated: `to_base` takes samples to rows with the means of the base's samples.
    """
    samples = case.samples[integral.GUIDES :]
    if case.thing.dim <= integral.COLUMNS:
        return integral.samples_differ(case.weighted, samples, case.rng)
    landed = np.asarray(case.thing.to_base(samples, case.one_context)[0], np.float64)
    return integral.samples_differ(case.base_samples, landed, case.rng)


def density_sums_to_one(case: FlowCase) -> str | None:
    """The density sums to one.

    Tried in no more columns than can be integrated. Beyond, `round_trip` and `log_det_is_the_jacobian`, which are
    exact in any number of columns, say that the sum is that of the base; the base's own is left to its laws.
    """
    return integral.sum_differs(case.weighted) if case.thing.dim <= integral.COLUMNS else None


def every_column_sees_the_context(case: FlowCase) -> str | None:
    """The density and every sampled column change with every column of the context."""
    if case.context is None or not case.is_moved:
        return None
    by_density = np.zeros(case.thing.context_dim, bool)
    by_sample = np.zeros((case.thing.dim, case.thing.context_dim), bool)
    for copy in anywhere(case.thing, case.key):
        by_density |= np.any(np.abs(gradients(copy, case.x, case.context).context) > 0, axis=0)
        if case.is_bounded:  # where the density is flat, the context moves its border
            by_density |= np.any(np.abs(_landing_by_context(copy, case.x, case.context)) > 0, axis=0)
        by_sample |= np.any(np.abs(sample_gradients(copy, case.key, case.context)[1]) > 0, axis=1)
    for j in np.flatnonzero(~by_density):
        return f"log_prob does not see column {j} of the context"
    for i, j in np.argwhere(~by_sample):
        return f"samples of column {i} do not see column {j} of the context"
    return None


@jax.jit
def _landing_by_context(flow: Flow, x: Array, context: Array) -> Array:
    return jax.grad(lambda context: jnp.sum(flow.to_base(x, context)[0] ** 2))(context)


def wrong_contexts_are_refused(case: FlowCase) -> str | None:
    """A context missing, superfluous or of the wrong width is a `ContextError`."""
    flow, width = case.thing, case.thing.context_dim
    wrong: dict[str, Array | None] = {"of another width": jnp.zeros(width + 1, case.dtype)}
    wrong |= {"that is missing": None} if width else {"that is superfluous": jnp.zeros(1, case.dtype)}
    for name, context in wrong.items():
        for method in ("log_prob", "to_base", "to_data"):
            if not _refuses(getattr(flow, method), case.x, context):
                return f"{method} accepts a context {name}"
        for method in ("sample", "sample_and_log_prob"):
            if not _refuses(getattr(flow, method), case.key, 1, context):
                return f"{method} accepts a context {name}"
    return None


def _refuses(method: Callable[..., Any], *arguments: Any) -> bool:
    try:
        method(*arguments)
    except ContextError:
        return True
    return False


def never_nan(case: FlowCase) -> str | None:
    """The log density of no row without a NaN is NaN; outside the domain and the base's support it is -inf."""
    domain = case.thing.bijection.domain
    x = np.asarray(case.x)
    far = points.far(domain, np.asarray(x, np.float64)).astype(x.dtype)
    tried: list[tuple[Numbers, Callable[[Numbers], Any]]]
    tried = [(points.outside(domain, x), _is_positive), (far, np.isnan)]
    if case.is_bounded:
        tried.append((_lands_outside_the_support(case), _is_positive))
    for rows, is_wrong in tried:
        log_prob = np.asarray(case.thing.log_prob(rows, case.one_context))
        wrong = is_wrong(log_prob)
        if wrong.any():
            return f"its log density is {log_prob[wrong][0]:.3g} at {rows[wrong][0].tolist()}"
    return None


def _is_positive(log_prob: Numbers) -> NDArray[np.bool_]:
    """Where a density that must be zero is not, or is NaN."""
    return np.asarray(log_prob != -np.inf)


def _lands_outside_the_support(case: FlowCase) -> Numbers:
    """Rows of data whose images in base space have left the base's support."""
    flow = case.thing
    z = points.outside(flow.base.support, np.asarray(case.z))
    z = z[[flow.bijection.codomain.contains(row) for row in z]]
    x = np.asarray(flow.to_data(z, case.one_context)[0])
    return x[[flow.bijection.domain.contains(row) for row in x]]


def compiled_equals_eager(case: FlowCase) -> str | None:
    """`log_prob` gives the same inside jit and inside vmap."""
    context, tolerance = case.context, _own_tolerance(case)
    for name, seen in (
        ("jit", _compiled(case.thing, case.x, context)),
        ("vmap", _mapped(case.thing, case.x, context)),
    ):
        difference = largest_difference(seen, case.log_prob, tolerance)
        if difference is not None:
            return f"log_prob inside {name} differs by {difference:.2g}"
    return None


@jax.jit
def _compiled(flow: Flow, x: Array, context: Array | None) -> Array:
    return flow.log_prob(x, context)


@jax.jit
def _mapped(flow: Flow, x: Array, context: Array | None) -> Array:
    return jax.vmap(flow.log_prob)(x, context)


def survives_save_and_load(case: FlowCase) -> str | None:
    """What a model file gives back has the same fields and gives the same results, bit for bit."""
    return changed_by_saving(
        case.thing,
        lambda flow: (flow.log_prob(case.x, case.context), flow.sample(case.key, len(case.x), case.one_context)),
    )


def gradients_are_finite(case: FlowCase) -> str | None:
    """No derivative of densities or samples is infinite or NaN, also for rows a million times farther out."""
    domain = case.thing.bijection.domain
    far = jnp.asarray(points.far(domain, np.asarray(case.x, np.float64)), case.dtype)
    tried = {
        "log_prob": case.gradients,
        f"log_prob for rows {points.FAR:.0e} times farther out": gradients(case.thing, far, case.context),
        "sample_and_log_prob": sample_gradients(case.thing, case.key, case.context)[0],
    }
    for name, derivatives in tried.items():
        for part in ("parameters", "row", "context", "tangent"):
            if not_finite(getattr(derivatives, part)):
                return f"the derivative of {name} ({part}) is not finite"
    return None


LAWS: tuple[Law[FlowCase], ...] = (
    shapes_follow_the_batch,
    contexts_broadcast,
    round_trip,
    log_det_is_the_jacobian,
    log_prob_is_base_plus_log_det,
    samples_agree_with_their_log_prob,
    samples_follow_the_key,
    density_sums_to_one,
    samples_follow_the_density,
    every_column_sees_the_context,
    wrong_contexts_are_refused,
    never_nan,
    compiled_equals_eager,
    survives_save_and_load,
    gradients_are_finite,
)
