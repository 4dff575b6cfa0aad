"""What a flow of mixed rows says beyond a row's density: of each variable, and of rows known in part.

Everything takes a `Flow` on a `Mixed` base, or an `Ensemble` of such flows, whose mixture counts: a member has a say
in the distribution of a variable by how likely it found the variables before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray

from densiflow import rows
from densiflow.bases import Mixed
from densiflow.bijections import Permute
from densiflow.ensemble import Ensemble, each
from densiflow.flow import Flow, over_rows
from densiflow.precision import cast, dtype_of
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]
Model = Flow | Ensemble


def unfitted(key: Array, encoder: Encoder, context_dim: int, **options: Any) -> Flow:
    """A flow of the rows that an encoder gives; ``options`` are those of `Mixed`."""
    variables = encoder.variables
    base = Mixed(
        key,
        [variable.size for variable in variables],
        [-1 if variable.state is None else variable.state for variable in variables],
        context_dim,
        cells={v: encoder.cells_seen(v) for v, variable in enumerate(variables) if variable.cell},
        **options,
    )
    return Flow(Permute(np.arange(base.dim)), base)


def is_mixed(model: Model) -> bool:
    """Whether a fitted flow is one of mixed rows."""
    return isinstance(_first(model).base, Mixed)


def log_probs(model: Model, x: Floats, context: Floats | None) -> Floats:
    """(n, V): the log probability of each variable given those before it; they add up to the row's."""
    return np.asarray(over_rows(_log_probs, model, x, context), np.float64)


def tails(model: Model, x: Floats, context: Floats | None) -> tuple[Floats, Floats]:
    """(n, V) each: the probability of less, and of more, than each variable given those before it."""
    lower, upper = over_rows(_tails, model, x, context)
    return np.asarray(lower, np.float64), np.asarray(upper, np.float64)


def rounded_cells(flow: Flow, x: Floats) -> Floats:
    """Rows whose cells are those that draws of the flow fall into, in the digits that its type holds."""
    base = mixed_base(flow)
    in_cells = np.repeat(np.asarray(base.cells) > 0, base.layout.widths)
    return np.where(in_cells, x.astype(dtype_of(flow)), x)


@contextmanager
def in_float64(flow: Flow) -> Iterator[Flow]:
    """The flow in float64, to be used inside."""
    with jax.enable_x64(True):
        yield cast(flow, np.float64)


def at_quantiles(flow: Flow, normal: Floats, context: Floats | None) -> Floats:
    """The rows (n, width) whose variables stand at standard normal quantiles (n, V)."""
    return _in_pieces(partial(_quantile, flow), flow, [normal, context])[0]


def drawn(
    model: Model,
    key: Array,
    place: NDArray[np.uint32],
    x: Floats,
    known: NDArray[np.bool_],
    barred: NDArray[np.int32],
    context: Floats | None,
) -> tuple[Floats, Floats]:
    """What is not known (n, V) drawn, and the log probabilities of what is: rows (n, width) and weights (n,).

    ``barred`` (V,) holds levels that are not to be drawn. A row depends on the key, its place (n,) among the random
    numbers and itself alone. Members of an ensemble take turns.
    """
    if not isinstance(model, Ensemble):
        return _in_pieces(partial(_draw, model, key, jnp.asarray(barred)), model, [place, x, known, context])
    out, weight = np.empty(x.shape), np.empty(len(x))
    for m, member in enumerate(model.unstacked()):
        turn = np.arange(m, len(x), model.members)
        given = None if context is None else context[turn]
        key_of_member = jax.random.fold_in(key, m)
        out[turn], weight[turn] = drawn(member, key_of_member, place[turn], x[turn], known[turn], barred, given)
    return out, weight


def _in_pieces(compiled: Any, model: Model, parts: list[Any]) -> Any:
    """A compiled function of rows, in pieces of few sizes; every result in float64."""
    dtype = dtype_of(model)
    parts = [p.astype(dtype) if p is not None and p.dtype.kind == "f" else p for p in parts]
    batch = (len(parts[0]),)
    out = rows.in_pieces(compiled, parts, batch, rows.sizes_for(jax.tree.leaves(model)))
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), out)


def mixed_base(flow: Flow) -> Mixed:
    """The base of a flow of mixed rows."""
    assert isinstance(flow.base, Mixed)
    return flow.base


def _first(model: Model) -> Flow:
    return model.flows if isinstance(model, Ensemble) else model


class _Told(NamedTuple):
    """What a member says of rows: (n, V) each."""

    log_prob: Array
    lower: Array
    upper: Array


@jax.jit
def _told(flow: Flow, x: Array, context: Array | None) -> _Told:
    context, base = flow.context_as_seen(context), mixed_base(flow)
    return _Told(jax.vmap(base.log_probs)(x, context), *jax.vmap(base.tails)(x, context))


def _of_members(model: Model, x: Array, context: Array | None) -> tuple[_Told, Array]:
    """What every member says (members, n, V), and the log of its say in each variable, which add up to one."""
    if isinstance(model, Flow):
        told = jax.tree.map(lambda leaf: leaf[None], _told(model, x, context))
    else:
        told = each(lambda flow: _told(flow, x, context), model.flows)
    before = jnp.cumsum(told.log_prob, axis=-1) - told.log_prob
    before = jnp.where(jnp.isfinite(before), before, -1e30)  # impossible for this member, perhaps for all
    return told, before - logsumexp(before, axis=0)


@jax.jit
def _log_probs(model: Model, x: Array, context: Array | None) -> Array:
    told, say = _of_members(model, x, context)
    return logsumexp(told.log_prob + say, axis=0)


@jax.jit
def _tails(model: Model, x: Array, context: Array | None) -> tuple[Array, Array]:
    told, say = _of_members(model, x, context)
    return jnp.sum(told.lower * jnp.exp(say), axis=0), jnp.sum(told.upper * jnp.exp(say), axis=0)


@jax.jit
def _quantile(flow: Flow, normal: Array, context: Array | None) -> tuple[Array]:
    return (jax.vmap(mixed_base(flow).quantile)(normal, flow.context_as_seen(context)),)


@jax.jit
def _draw(
    flow: Flow, key: Array, barred: Array, index: Array, x: Array, known: Array, context: Array | None
) -> tuple[Array, Array]:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    draw = jax.vmap(mixed_base(flow).draw, (0, 0, 0, None, 0))
    return draw(keys, x, known, barred, flow.context_as_seen(context))
