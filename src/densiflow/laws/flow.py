"""The laws of a flow, seen through its public methods alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from densiflow.errors import ContextError
from densiflow.fixed import combine, partition
from densiflow.flow import Flow
from densiflow.laws import integral, points
from densiflow.laws.reload import changed_by_saving
from densiflow.laws.trial import (
    Broken,
    Case,
    Law,
    Numbers,
    Precision,
    anywhere,
    broken_laws,
    largest_difference,
    not_finite,
    report,
)

DRAWS = 12288
CONTEXTS = 2  # context rows that samples are drawn for; few, so that most calls fit the smallest compiled program


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
    return broken_laws(flow, LAWS, _case, key, dtype)


def _case(flow: Flow, exact: Flow, is_moved: bool, key: Array) -> "FlowCase":
    case = FlowCase(flow, exact, is_moved, key)
    if not is_moved:
        return case
    context = None if case.context is None else 3 - 2 * case.context
    flow = flow.standardised(1 + 3 * case.x if flow.is_scalable else case.x, context)
    return FlowCase(flow, flow, is_moved, key)


@dataclass
class FlowCase(Case[Flow]):
    """A flow, rows and contexts to try it on, and what the density says of its samples."""

    @cached_property
    def x(self) -> Array:
        """Rows (n, dim) of the domain."""
        shape = (points.rows_for(self.thing.dim, self.thing.context_dim), self.thing.dim)
        return jnp.asarray(points.inside(self.thing.bijection.domain, self.rng, shape), self.dtype)

    @cached_property
    def context(self) -> Array | None:
        """A context (n, context_dim) for the rows, None where the flow takes none."""
        width = self.thing.context_dim
        return jnp.asarray(self.rng.normal(size=(len(self.x), width)), self.dtype) if width else None

    @cached_property
    def one_context(self) -> Array | None:
        """One context (context_dim,)."""
        return None if self.context is None else self.context[0]

    @cached_property
    def log_prob(self) -> Array:
        """Log densities of the rows."""
        return self.thing.log_prob(self.x, self.context)

    @cached_property
    def gradients(self) -> "Gradients":
        """Derivatives of the rows' log densities."""
        return _gradients(self.thing, self.x, self.context)

    @cached_property
    def samples(self) -> Numbers:
        """Rows drawn for the one context."""
        return np.asarray(self.thing.sample(self.key, integral.GUIDES + DRAWS, self.one_context), np.float64)

    @cached_property
    def weighted(self) -> integral.Weighted:
        """The density as seen by importance sampling."""

        def log_prob(x: Numbers) -> Numbers:
            return np.asarray(self.thing.log_prob(x, self.one_context), np.float64)

        return integral.weighted(log_prob, self.samples[: integral.GUIDES], self.rng)

    def tolerance(self, log_prob: Array, x: Array, by_row: Array) -> Numbers:
        """How far rounding may carry log densities: of the sum itself, and of the row by way of the gradient."""
        carried = np.sum(np.abs(by_row) * (1 + np.abs(x)), axis=-1)
        return np.asarray(self.rounding * (self.thing.dim + np.abs(log_prob) + carried))


class Gradients(NamedTuple):
    """Derivatives of a sum of results, in reverse mode by each input and in forward mode along all."""

    parameters: Any
    row: Array
    context: Array | None
    tangent: Array


@jax.jit
def _gradients(flow: Flow, x: Array, context: Array | None) -> Gradients:
    """Of log densities by the flow's parameters, the rows and their contexts."""

    def total(flow: Flow, x: Array, context: Array | None) -> Array:
        return jnp.sum(flow.log_prob(x, context))

    return _derivatives(total, flow, x, context)


@jax.jit
def _sample_gradients(flow: Flow, key: Array, context: Array | None) -> tuple[Gradients, Array | None]:
    """Of samples and their log densities, the samples' means moved by a dummy row; and each column by the context."""

    def total(flow: Flow, move: Array, context: Array | None) -> Array:
        x, log_prob = flow.sample_and_log_prob(key, CONTEXTS, context)
        return jnp.sum(x + move) + jnp.sum(log_prob)

    def column_sums(context: Array) -> Array:
        return jnp.sum(flow.sample(key, CONTEXTS, context) ** 2, axis=(0, 1))

    by_context = None if context is None else jax.jacrev(column_sums)(context)
    return _derivatives(total, flow, jnp.zeros(flow.dim, flow.dtype), context), by_context


def _derivatives(total: Callable[..., Array], flow: Flow, x: Array, context: Array | None) -> Gradients:
    trained, rest = partition(flow)

    def of_inputs(inputs: tuple[Flow, Array, Array | None]) -> Array:
        return total(combine(inputs[0], rest), *inputs[1:])

    inputs = (trained, x, context)
    tangent = jax.jvp(of_inputs, (inputs,), (jax.tree.map(jnp.ones_like, inputs),))[1]
    parameters, row, by_context = jax.grad(of_inputs)(inputs)
    return Gradients(parameters, row, by_context, tangent)


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


def log_prob_is_base_plus_log_det(case: FlowCase) -> str | None:
    """The log density is the base's, where `to_base` lands, plus its log_det."""
    flow, context = case.thing, case.context
    z, log_det = flow.to_base(case.x, context)
    if context is not None and flow.context_scaling is not None:
        context = flow.context_scaling.value.to_base_rows(context)[0]
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
    by_row = _gradients(flow, rows, contexts).row
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
    """Samples have the means that the density gives them."""
    return integral.samples_differ(case.weighted, case.samples[integral.GUIDES :], case.rng)


def density_sums_to_one(case: FlowCase) -> str | None:
    """The density sums to one."""
    return integral.sum_differs(case.weighted)


def every_column_sees_the_context(case: FlowCase) -> str | None:
    """The density and every sampled column change with every column of the context."""
    if case.context is None or not case.is_moved:
        return None
    by_density = np.zeros(case.thing.context_dim, bool)
    by_sample = np.zeros((case.thing.dim, case.thing.context_dim), bool)
    for copy in anywhere(case.thing, case.key):
        by_density |= np.any(np.abs(_gradients(copy, case.x, case.context).context) > 0, axis=0)
        by_sample |= np.any(np.abs(_sample_gradients(copy, case.key, case.context)[1]) > 0, axis=1)
    for j in np.flatnonzero(~by_density):
        return f"log_prob does not see column {j} of the context"
    for i, j in np.argwhere(~by_sample):
        return f"samples of column {i} do not see column {j} of the context"
    return None


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
    """The log density of no row without a NaN is NaN; outside the domain, at infinity too, it is -inf."""
    domain = case.thing.bijection.domain
    x = np.asarray(case.x)
    outside = points.outside(domain, x)
    far = points.far(domain, np.asarray(x, np.float64)).astype(x.dtype)
    for rows, wrong in ((outside, lambda seen: seen != -np.inf), (far, np.isnan)):
        log_prob = np.asarray(case.thing.log_prob(rows, case.one_context))
        for row, seen in zip(rows[wrong(log_prob)], log_prob[wrong(log_prob)], strict=True):
            return f"its log density is {seen:.3g} at {row.tolist()}"
    return None


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
        f"log_prob for rows {points.FAR:.0e} times farther out": _gradients(case.thing, far, case.context),
        "sample_and_log_prob": _sample_gradients(case.thing, case.key, case.context)[0],
    }
    for name, derivatives in tried.items():
        for part in ("parameters", "row", "context", "tangent"):
            if not_finite(getattr(derivatives, part)):
                return f"the derivative of {name} ({part}) is not finite"
    return None


LAWS: tuple[Law[FlowCase], ...] = (
    shapes_follow_the_batch,
    contexts_broadcast,
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
