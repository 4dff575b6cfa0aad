r"""The companion of a flow of real numbers: it draws any columns of a row given the others, and says how likely.

A flow draws whole rows. From many of these a second flow learns any columns given any others: what is known, and
which columns that is, is its context, and in the place of what is known it models noise n,

.. math:: q(n_S, x_R \mid x_S), \qquad n_S \sim \mathcal N(0, 1), \qquad
          p(x_S) = \operatorname E_q\left[\frac{p(x_S, x_R)\, \mathcal N(n_S)}{q(n_S, x_R \mid x_S)}\right]

So the weights' mean is the density of what is known under the flow itself, whatever the companion has learned; the
more it has, the fewer draws that takes. One draw in ten comes from far tails of the companion's base, so that no
weight is much larger than the others where the flow's tails are the heavier ones.

A companion is a function of its flow alone, made when it is first needed and kept as long as the flow lives.

Source: Owen & Zhou 2000, "Safe and effective importance sampling" (the share from far tails).
"""

from functools import partial
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow import recipes, rows
from densiflow.bases import StudentT
from densiflow.estimators.fitted import Fitted
from densiflow.estimators.mixed_rows import Model
from densiflow.flow import Flow
from densiflow.table.encode import Encoder
from densiflow.training.fit import fit

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

ROWS, MOST_ROWS, EPOCHS = 8_000, 64_000, 12  # what it learns from: rows for each column, and at most
FARTHEST = 10.0  # what it is told of known cells farther out, in standard deviations
FAR_SHARE, FAR_SCALE, FAR_DEGREES = 0.1, 2.0, 3.0  # of draws from the tails


class Companion(NamedTuple):
    """The flow that draws, of columns in units of their own deviations from their means."""

    flow: Flow
    mean: Floats  # (columns,)
    deviation: Floats  # (columns,)


_companions: WeakKeyDictionary[Model, Companion] = WeakKeyDictionary()
_one_at_a_time = Lock()  # rows are scored in several threads


def companion_of(fitted: Fitted) -> Companion:
    """The companion of a fitted flow; the first call trains it."""
    with _one_at_a_time:
        companion = _companions.get(fitted.model)
        if companion is None:
            companion = _companions[fitted.model] = _trained(fitted)
        return companion


def drawn(
    companion: Companion, key: Array, place: NDArray[np.uint32], x: Floats, known: Booleans, context: Floats | None
) -> tuple[Floats, Floats]:
    """Rows (n, columns) whose unknown cells are drawn given the known ones, and minus the log density of the draw (n,).

    A row depends on the key, its place (n,) among the random numbers and itself alone.
    """
    flow, mean, deviation = companion
    unit = (x - mean) / deviation
    told = [part.astype(np.float32) for part in _context(unit, known, context)]
    given = np.concatenate(told, axis=1)
    out, nats = rows.in_pieces(partial(_draw, flow, key), [place, given], (len(x),), rows.sizes_for(flow))
    cells, nats = np.asarray(out, np.float64), np.asarray(nats, np.float64)
    noise = np.where(known, -0.5 * cells**2 - 0.5 * np.log(2 * np.pi), 0.0).sum(axis=1)
    volume = np.where(known, 0.0, np.log(deviation)).sum(axis=1)
    return np.where(known, x, mean + deviation * cells), noise + volume - nats


def _trained(fitted: Fitted) -> Companion:
    sample_key, context_key, flow_key, fit_key = jax.random.split(jax.random.key(0), 4)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(context_key)))
    n = min(ROWS * fitted.model.dim, MOST_ROWS)
    context = None if fitted.given is None else _some_contexts(fitted.given, n, rng)
    x = np.asarray(fitted.model.sample(sample_key, n if context is None else 1, context), np.float64)
    x = x.reshape(n, -1)
    sound = np.isfinite(x).all(axis=1)
    x, context = x[sound], None if context is None else context[sound]
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    unit, known = (x - mean) / deviation, _some_known(x.shape, rng)
    told = np.concatenate(_context(unit, known, context), axis=1)
    width = max(64, 4 * x.shape[1])
    flow = recipes.maf(
        flow_key, x.shape[1], told.shape[1], hidden=(width, width), activation="silu", dtype=np.dtype(np.float32)
    )
    learned = np.where(known, rng.standard_normal(x.shape), unit)
    flow, _ = fit(
        flow,
        fit_key,
        learned.astype(np.float32),
        told.astype(np.float32),
        max_epochs=EPOCHS,
        batch_size=256,
        learning_rate=2e-3,
        verbose=fitted.verbose,
    )
    return Companion(flow, mean, deviation)


def _some_known(shape: tuple[int, int], rng: np.random.Generator) -> Booleans:
    """Of each row from none to all but one column, and every second time the first ones."""
    place = rng.random(shape).argsort(axis=1)
    place[::2] = np.arange(shape[1])
    known: Booleans = place < rng.integers(0, shape[1], (shape[0], 1))
    return known


def _some_contexts(given: Encoder, n: int, rng: np.random.Generator) -> Floats:
    """Contexts (n, c) as a flow takes them, spread over what the encoder may give: levels, and standard normals."""
    parts = []
    states: list[NDArray[np.integer] | None] = []
    for variable in given.variables:
        level = rng.integers(0, variable.size, n) if variable.size else None
        states.append(level)
        if level is not None:
            parts.append(np.asarray(level[:, None] == np.arange(variable.size), np.float64))
            continue
        state = None if variable.state is None else states[variable.state]
        there = np.ones(n, bool) if state is None else state == 0
        parts.append(np.where(there, rng.standard_normal(n), 0.0)[:, None])
    return np.concatenate(parts, axis=1)


def _context(unit: Floats, known: Booleans, context: Floats | None) -> list[Floats]:
    """What the companion is told (n, ...): which columns are known, what they are, and the flow's own context."""
    seen = np.where(known, np.clip(unit, -FARTHEST, FARTHEST), 0.0)
    return [known.astype(np.float64), seen, *([] if context is None else [context])]


@jax.jit
def _draw(flow: Flow, key: Array, index: Array, context: Array) -> tuple[Array, Array]:
    """Rows (n, columns) and their log densities, of a base that is partly far tails."""
    far_base = StudentT(flow.dim, FAR_DEGREES, dtype=np.dtype(np.float32))
    far_volume = flow.dim * float(np.log(FAR_SCALE))

    def base_row(i: Array) -> tuple[Array, Array]:
        near_key, far_key, choice_key = jax.random.split(jax.random.fold_in(key, i), 3)
        near, far = flow.base.sample(near_key), FAR_SCALE * far_base.sample(far_key)
        z = jnp.where(jax.random.bernoulli(choice_key, FAR_SHARE), far, near)
        near_nats = float(np.log1p(-FAR_SHARE)) + flow.base.log_prob(z)
        far_nats = float(np.log(FAR_SHARE)) + far_base.log_prob(z / FAR_SCALE) - far_volume
        return z, jnp.logaddexp(near_nats, far_nats)

    z, nats = jax.vmap(base_row)(index)
    x, log_det = flow._to_data_rows(z, flow.context_as_seen(context))
    return x, nats - log_det
