r"""Rows of which some cells are known: their density, the other cells summed and integrated out, and draws of these.

.. math:: \log p(x_S) = \log \frac1K \sum_k w_k, \qquad
          \text{error} = \sqrt{\frac{\operatorname{var} w}{K \bar w^2} + \frac{\operatorname{var}_m p_m(x_S)}{\bar w^2}}

The unknown cells are drawn K times given the known ones, and each draw weighed. In a model of mixed rows cells are
drawn in order, each given those before it, and the weight is the probability of the known cells, each given what
stands before them; where they are the first of the row it is exact, without a draw. For a flow of real numbers a
`companion` draws them. The members m of an ensemble were trained apart: how far they differ says how far each may be
off, which no number of draws makes smaller. Members of a model of mixed rows draw each for itself, so that the noise of
these fewer draws is part of their spread: with few draws the error is too large rather than too small.

The draws that estimate a density follow from the key and the row's known cells: a row scores the same in any table.
"""

import warnings
import zlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import logsumexp

from densiflow.ensemble import Ensemble
from densiflow.errors import DensiflowWarning
from densiflow.estimators import columns, companion, mixed_rows, within_seen
from densiflow.estimators.fitted import Fitted
from densiflow.estimators.mixed_rows import Model
from densiflow.flow import Flow
from densiflow.table.encode import Encoder

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Places = NDArray[np.uint32]  # among the random numbers of a key

DRAWS = 256  # of a row whose density is not exact
ROWS = 2**15  # draws under way at once
FEWEST_THAT_COUNT = 8.0  # draws of a row, by their weights; with fewer neither density nor error can be trusted
IMPOSSIBLE = -1e30  # the logarithm of a weight that is zero
BEYOND_SEEN = 2 * IMPOSSIBLE  # of a draw that is taken only where there is no other


class Draws(NamedTuple):
    """Draws of some rows (n, draws, width), the logarithms of their weights, and what each member makes of the row."""

    rows: Floats
    weights: Floats  # (n, draws)
    of_members: Floats  # (n, members)


class Gaps(NamedTuple):
    """Rows x (n, width) of which some cells (n, columns), and so variables (n, V), are known, and their places (n,)."""

    x: Floats
    known: Booleans
    variables: Booleans
    context: Floats | None
    place: NDArray[np.integer]

    def take(self, rows: NDArray[np.integer]) -> "Gaps":
        """Some of the rows."""
        taken: Gaps = jax.tree.map(lambda part: part[rows], self)
        return taken


def log_probs(fitted: Fitted, matrix: Floats, context: Floats | None) -> Floats:
    """(n,) log densities of rows.

    A missing cell of a column that had some in fitting is a state with a probability; of any other column, it is not
    known, and summed and integrated out by draws.
    """
    x, log_volume = fitted.encoder.encode(matrix)
    nats = np.asarray(fitted.model.log_prob(x, context), np.float64) + log_volume
    known = fitted.encoder.says_something(matrix)
    some = ~known.all(axis=1)
    if some.any():
        given = None if context is None else for_each(context, len(x))[some]
        nats[some] = of_known(fitted, matrix[some], known[some], given, jax.random.key(0))[0]
    return nats


def of_known(
    fitted: Fitted, matrix: Floats, known: Booleans, context: Floats | None, key: Array, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """(n,) log densities of the known cells (n, columns), in the units of the table, and their standard errors."""
    encoder = fitted.encoder
    variables = columns.spread(encoder, known)
    x, log_volumes = encoder.encode_columns(np.where(known, matrix, _somewhere(encoder)))
    context = None if context is None else for_each(context, len(x))
    volume = np.where(known, log_volumes, 0.0).sum(axis=1)
    nats, error = np.empty(len(x)), np.zeros(len(x))
    exact = _is_exact(fitted.model, variables)
    if exact.any():
        given = None if context is None else context[exact]
        of_members = _exactly(fitted.model, x[exact], variables[exact], given)
        nats[exact], error[exact] = _mixed_together(of_members), _spread(of_members)
    for part in _pieces(np.flatnonzero(~exact), draws):
        given = None if context is None else context[part]
        first = _places_of(matrix[part], known[part])
        drawn = _drawn(fitted, x[part], variables[part], given, key, first, draws)
        _warn_of_few(drawn.weights)
        nats[part] = logsumexp(drawn.weights, axis=1) - np.log(drawn.weights.shape[1])
        error[part] = np.hypot(_relative_error(drawn.weights), _spread(drawn.of_members))
    return nats + volume, error


def imputed(
    fitted: Fitted,
    matrix: Floats,
    context: Floats | None,
    key: Array,
    known: Booleans | None = None,
    draws: int = DRAWS,
    complete: bool = True,
) -> Floats:
    """Cells (n, columns) with what is missing, or not known, drawn given the rest of the row.

    Of several draws of a row one is taken by its weight, of those that keep within what was seen; where none does, the
    row is drawn anew. With ``complete`` no cell is drawn as missing: each is what it would be if none ever were, for
    cells that are missing at random.
    """
    encoder, out = fitted.encoder, matrix.copy()
    known = ~np.isnan(matrix) if known is None else known
    variables = columns.spread(encoder, known)
    x, _ = encoder.encode(np.where(known, matrix, _somewhere(encoder)))
    context = None if context is None else for_each(context, len(matrix))
    gaps = Gaps(x, known, variables, context, np.arange(len(matrix)))
    sequential = mixed_rows.is_mixed(fitted.model)
    if sequential and _first_are_known(variables).all():
        draws = 1
    draws = _of_every_member(fitted.model, draws)
    for part in _pieces(np.flatnonzero(~variables.all(axis=1)), draws):
        rows = gaps.take(part)
        filled = within_seen.anew(
            partial(_one_of_several, fitted, rows, jax.random.split(key), draws, complete),
            partial(encoder.is_beyond_seen, known=rows.known),
            len(part),
            max(1, within_seen.at_once(fitted.model, len(part) * draws) // draws),
        )
        out[part] = np.where(rows.known, matrix[part], encoder.decode(filled, drawn=True))
    return out


def _one_of_several(
    fitted: Fitted, gaps: Gaps, keys: Array, draws: int, complete: bool, time: int, rows: NDArray[np.integer]
) -> Floats:
    """(k, width): some rows (k,) with their gaps filled, for the first time or anew for the nth."""
    x, known, variables, context, place = gaps.take(rows)
    draw_key, choice_key = (within_seen.key_at(key, time) for key in keys)
    first = (place * draws).astype(np.uint32)
    drawn = _drawn(fitted, x, variables, context, draw_key, first, draws, complete)
    if draws > 1 and time == 0:
        _warn_of_few(drawn.weights)
    beyond = fitted.encoder.is_beyond_seen(np.concatenate(drawn.rows), np.repeat(known, draws, axis=0))
    weights = np.where(beyond.reshape(-1, draws), BEYOND_SEEN, np.maximum(drawn.weights, IMPOSSIBLE))
    noise = np.asarray(jax.random.gumbel(jax.random.fold_in(choice_key, place[0]), weights.shape))
    return drawn.rows[np.arange(len(rows)), np.argmax(weights + noise, axis=1)]


def for_each(context: Floats, n: int) -> Floats:
    """One context row, or n, as n."""
    return np.broadcast_to(context, (n, context.shape[1]))


def _somewhere(encoder: Encoder) -> Floats:
    """(columns,): some possible cell of each column, to stand where nothing is known."""
    zero = np.zeros((1, encoder.width))
    return encoder.decode(zero)[0]


# exactly


def _is_exact(model: Model, variables: Booleans) -> Booleans:
    """(n,): rows whose known variables (n, V) have an exact density: all of them, none, or the first if mixed."""
    if mixed_rows.is_mixed(model):
        return _first_are_known(variables)
    return np.asarray(variables.all(axis=1) | ~variables.any(axis=1))


def _first_are_known(variables: Booleans) -> Booleans:
    """(n,): rows whose known variables stand before the others."""
    last_known = np.where(variables, np.arange(variables.shape[1]) + 1, 0).max(axis=1)
    return np.asarray(variables.sum(axis=1) == last_known)


def _exactly(model: Model, x: Floats, variables: Booleans, context: Floats | None) -> Floats:
    """(n, members) log densities of the known variables under each member."""

    def under(member: Flow) -> Floats:
        if mixed_rows.is_mixed(member):
            return np.where(variables, mixed_rows.log_probs(member, x, context), 0.0).sum(axis=1)
        return np.where(variables.any(axis=1), np.asarray(member.log_prob(x, context), np.float64), 0.0)

    return np.stack([under(member) for member in _members(model)], axis=1)


def _members(model: Model) -> list[Flow]:
    return model.unstacked() if isinstance(model, Ensemble) else [model]


# by draws


def _pieces(places: NDArray[np.integer], draws: int) -> Iterator[NDArray[np.integer]]:
    """Places of rows in pieces, so few at once that memory is bounded."""
    at_once = max(1, ROWS // draws)
    for start in range(0, len(places), at_once):
        yield places[start : start + at_once]


def _drawn(
    fitted: Fitted,
    x: Floats,
    variables: Booleans,
    context: Floats | None,
    key: Array,
    first: Places,
    draws: int,
    complete: bool = False,
) -> Draws:
    """Draws of rows x (n, width) of which some variables (n, V) are known; ``first`` (n,) is the place of the first."""
    members, draws = _members(fitted.model), _of_every_member(fitted.model, draws)
    place = np.add.outer(first, np.arange(draws, dtype=np.uint32)).ravel()
    many, known = np.repeat(x, draws, axis=0), np.repeat(variables, draws, axis=0)
    given = None if context is None else np.repeat(context, draws, axis=0)
    shape = len(x), draws
    if mixed_rows.is_mixed(fitted.model):
        barred = _barred(fitted.encoder, complete)
        rows, flat = mixed_rows.drawn(fitted.model, key, place, many, known, barred, given)
        weights = flat.reshape(shape)
        by_member = weights.reshape(len(x), -1, len(members)) if draws > 1 else weights[..., None]  # in turn
    else:
        rows, ratio = companion.drawn(companion.companion_of(fitted), key, place, many, known, given)
        by_member = np.stack([np.asarray(member.log_prob(rows, given), np.float64) for member in members], axis=-1)
        by_member = np.nan_to_num((by_member + ratio[:, None]).reshape(*shape, -1), nan=-np.inf, neginf=-np.inf)
        weights = _mixed_together(by_member)
    of_members = logsumexp(by_member, axis=1) - np.log(by_member.shape[1])
    return Draws(rows.reshape(*shape, -1), weights, of_members)


def _places_of(matrix: Floats, known: Booleans) -> Places:
    """(n,): a place for the draws of each row that follows from its known cells (n, columns)."""
    cells = np.where(known, np.nan_to_num(matrix), 0.0) + 0.0  # one zero alone
    return np.array([zlib.crc32(row.tobytes()) for row in np.concatenate([cells, known], axis=1)], np.uint32)


def _of_every_member(model: Model, draws: int) -> int:
    """So many draws, or a few more, that every member has as many; a single one is one member's."""
    members = model.members if isinstance(model, Ensemble) else 1
    return draws if draws == 1 else -(-draws // members) * members


def _barred(encoder: Encoder, complete: bool) -> NDArray[np.int32]:
    """(V,): the level that a state may not take, -1 for none: with ``complete`` that of missing cells."""
    barred = np.full(len(encoder.variables), -1, np.int32)
    for v, variable in enumerate(encoder.variables):
        if complete and variable.size and encoder.columns[variable.column].is_missing:
            barred[v] = variable.size - 1
    return barred


def _mixed_together(of_members: Floats) -> Floats:
    """Log densities (..., members) as that of the mixture."""
    return np.asarray(logsumexp(of_members, axis=-1) - np.log(of_members.shape[-1]))


def _spread(of_members: Floats) -> Floats:
    """(n,): the standard deviation of the members' densities (n, members), relative to their mean."""
    return _relative(of_members) if of_members.shape[1] > 1 else np.zeros(len(of_members))


def _relative_error(weights: Floats) -> Floats:
    """(n,): the standard error of the mean weight (n, draws), relative to it."""
    return _relative(weights) / np.sqrt(weights.shape[1])


def _relative(logs: Floats) -> Floats:
    """(n,): the standard deviation of numbers whose logarithms (n, k) are given, relative to their mean; 0 for none."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.exp(logs - _mixed_together(logs)[:, None]).std(axis=1, ddof=1))


def _warn_of_few(weights: Floats) -> None:
    """Warn of rows (n, draws) most of whose weight lies on few draws."""
    with np.errstate(invalid="ignore"):
        counting = np.exp(2 * logsumexp(weights, axis=1) - logsumexp(2 * weights, axis=1))
    few = int(np.count_nonzero(counting < min(FEWEST_THAT_COUNT, weights.shape[1] / 4)))
    if few:
        warnings.warn(
            f"of {weights.shape[1]} draws fewer than {FEWEST_THAT_COUNT:g} carry most of the weight in {few} of "
            f"{len(weights)} rows: densities and errors there are rough; give more draws",
            DensiflowWarning,
            stacklevel=2,
        )
