"""Rows of which some cells are known: their density, the other cells summed and integrated out, and draws of these.

Cells are drawn in order, each given those before it; a row's importance weight is the probability of its known cells,
each given what stands before them. The mean weight is the density of the known cells. Where they are the first of the
row it is exact, without a draw.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.special import logsumexp

from densiflow.arguments import check_count
from densiflow.errors import ArgumentError
from densiflow.estimators import columns, mixed_rows
from densiflow.estimators.mixed_rows import Model
from densiflow.estimators.randomness import RandomState, key_of
from densiflow.table import frames
from densiflow.table.encode import Encoder
from densiflow.table.refusals import listed

if TYPE_CHECKING:
    from densiflow.estimators.density import FlowDensity

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DRAWS = 256  # of a row whose known cells are not the first
ROWS = 2**15  # draws under way at once


def log_probs(model: Model, encoder: Encoder, matrix: Floats, context: Floats | None) -> Floats:
    """(n,) log densities of rows.

    A missing cell of a column that had some is a state with a probability; of any other column, it is not known, and
    summed and integrated out by draws.
    """
    x, log_volume = encoder.encode(matrix)
    nats = np.asarray(model.log_prob(x, context), np.float64) + log_volume
    if not mixed_rows.is_mixed(model):
        return nats
    known = _known(encoder, matrix)
    some = ~known.all(axis=1)
    if some.any():
        given = None if context is None else _for_each(context, len(x))[some]
        nats[some] = of_known(model, encoder, matrix[some], known[some], given, jax.random.key(0))[0]
    return nats


def of_known(
    model: Model,
    encoder: Encoder,
    matrix: Floats,
    known: Booleans,
    context: Floats | None,
    key: Array,
    draws: int = DRAWS,
) -> tuple[Floats, Floats]:
    """(n,) log densities of the known cells (n, columns), in the units of the table, and their standard errors."""
    variables, filled = columns.spread(encoder, known), np.where(known, matrix, _somewhere(encoder))
    x, log_volumes = encoder.encode_columns(filled)
    volume = np.where(known, log_volumes, 0.0).sum(axis=1)
    if _first_are_known(variables):
        nats = mixed_rows.log_probs(model, x, context)
        return np.where(variables, nats, 0.0).sum(axis=1) + volume, np.zeros(len(x))
    weights = _weighted(model, encoder, x, variables, context, key, draws, complete=False)[1]
    nats = logsumexp(weights, axis=1) - np.log(draws)
    with np.errstate(invalid="ignore"):
        share = np.exp(weights - nats[:, None])  # of mean 1
    error = np.nan_to_num(share.std(axis=1, ddof=1) / np.sqrt(draws))
    return nats + volume, error


def imputed(
    model: Model,
    encoder: Encoder,
    matrix: Floats,
    context: Floats | None,
    key: Array,
    known: Booleans | None = None,
    draws: int = DRAWS,
    complete: bool = True,
) -> Floats:
    """Cells (n, columns) with what is missing, or not known, drawn given the rest of the row.

    Of several draws of a row one is taken by its weight. With ``complete`` no cell is drawn as missing: each is what
    it would be if none ever were, for cells that are missing at random.
    """
    known = ~np.isnan(matrix) if known is None else known
    open_rows = np.flatnonzero(~known[:, _modelled(encoder)].all(axis=1))
    out = matrix.copy()
    if not len(open_rows):
        return out
    part, cells, given = known[open_rows], matrix[open_rows], None
    if context is not None:
        given = _for_each(context, len(matrix))[open_rows]
    variables = columns.spread(encoder, part)
    x, _ = encoder.encode(np.where(part, cells, _somewhere(encoder)))
    draw_key, choice_key = jax.random.split(key)
    draws = 1 if _first_are_known(variables) else draws
    rows, weights = _weighted(model, encoder, x, variables, given, draw_key, draws, complete)
    weights = np.where(np.isfinite(weights), weights, -1e30)
    noise = np.asarray(jax.random.gumbel(choice_key, weights.shape))
    chosen = np.argmax(weights + noise, axis=1)
    decoded = encoder.decode(rows[np.arange(len(rows)), chosen], drawn=True)
    out[open_rows] = np.where(part, cells, decoded)
    return out


class Marginal:
    """The density of some columns of a fitted model, the others summed and integrated out.

    Exact where these are the first columns of the table; else estimated, from as many draws of the others, with a
    standard error.
    """

    def __init__(self, density: "FlowDensity", names: Sequence[Any]) -> None:
        self.density, self.columns = density, tuple(names)
        self._places = _places(density.encoder_, self.columns)

    def score_samples(
        self, X: Any, *, draws: int = DRAWS, random_state: RandomState = 0, return_std: bool = False
    ) -> Any:
        """(n,) log densities of the columns, nats, in their units; with ``return_std`` their standard errors too."""
        check_count("draws", draws, 2)
        density = self.density
        matrix, known = _scattered(density.encoder_, self._places, X)
        with density._fitted_precision():
            nats, error = of_known(density.flow_, density.encoder_, matrix, known, None, key_of(random_state), draws)
        return (nats, error) if return_std else nats

    def sample(self, n_samples: int = 1, *, random_state: RandomState = None) -> Any:
        """Rows of these columns, in the container of the table fitted on."""
        check_count("n_samples", n_samples, 1)
        schema = self.density.encoder_.schema.only(self._places)
        return frames.build(schema, self.density._cells(n_samples, random_state)[:, self._places])


class Conditional:
    """The distribution of the other columns of a fitted model where some hold given values."""

    def __init__(self, density: "FlowDensity", given: Mapping[Any, Any]) -> None:
        self.density, self.given = density, dict(given)
        self._places = _places(density.encoder_, tuple(self.given))
        kept = _modelled(density.encoder_)
        self._others = [i for i in range(density.encoder_.schema.width) if kept[i] and i not in self._places]

    def sample(
        self, n_samples: int = 1, *, complete: bool = False, draws: int = DRAWS, random_state: RandomState = None
    ) -> Any:
        """Whole rows, the given cells among them, in the container of the table fitted on.

        Of several draws of a row one is taken by its weight. With ``complete`` none has a missing cell.
        """
        check_count("n_samples", n_samples, 1)
        density, encoder = self.density, self.density.encoder_
        matrix, known = _scattered(encoder, self._places, [tuple(self.given.values())] * n_samples)
        with density._fitted_precision():
            drawn = imputed(density.flow_, encoder, matrix, None, key_of(random_state), known, draws, complete)
        return encoder.build(drawn)

    def score_samples(
        self, X: Any, *, draws: int = DRAWS, random_state: RandomState = 0, return_std: bool = False
    ) -> Any:
        """(n,) log densities of the other columns given these; with ``return_std`` their standard errors too."""
        density, encoder = self.density, self.density.encoder_
        matrix, known = _scattered(encoder, self._others, X)
        given, given_known = _scattered(encoder, self._places, [tuple(self.given.values())])
        matrix = np.where(given_known, given, matrix)
        key = key_of(random_state)
        with density._fitted_precision():
            joint, joint_error = of_known(density.flow_, encoder, matrix, known | given_known, None, key, draws)
            alone, alone_error = of_known(density.flow_, encoder, given, given_known, None, key, draws)
        error = np.hypot(joint_error, alone_error)
        return (joint - alone, error) if return_std else joint - alone


def _places(encoder: Encoder, names: Sequence[Any]) -> list[int]:
    keys = list(encoder.schema.keys)
    unknown = [name for name in names if name not in keys or keys[keys.index(name)] in encoder.left_out]
    if unknown or not names:
        raise ArgumentError(f"there is no column {listed(unknown)} in the model; there are {listed(keys)}")
    return [keys.index(name) for name in names]


def _scattered(encoder: Encoder, places: Sequence[int], X: Any) -> tuple[Floats, Booleans]:
    """Cells of some columns in a matrix of all (n, columns), and which they are."""
    cells = frames.matching(encoder.schema.only(list(places)), X, "the table", mixed=True)
    matrix = np.full((len(cells), encoder.schema.width), np.nan)
    matrix[:, places] = cells
    known = np.zeros(matrix.shape, bool)
    known[:, places] = True
    return matrix, known


def _known(encoder: Encoder, matrix: Floats) -> Booleans:
    """(n, columns): cells that say something, be it that they are missing."""
    says = np.array([column.is_missing for column in encoder.columns]) | ~_modelled(encoder)
    return ~np.isnan(matrix) | says


def _modelled(encoder: Encoder) -> Booleans:
    """(columns,): which have a variable."""
    found = np.zeros(encoder.schema.width, bool)
    found[[variable.column for variable in encoder.variables]] = True
    return found


def _somewhere(encoder: Encoder) -> Floats:
    """(columns,): some possible cell of each column, to stand where nothing is known."""
    zero = np.zeros((1, encoder.width))
    return encoder.decode(zero)[0]


def _first_are_known(variables: Booleans) -> bool:
    """Whether in every row the known variables stand before the others."""
    return bool((np.diff(variables.astype(np.int8), axis=1) <= 0).all())


def _for_each(context: Floats, n: int) -> Floats:
    return np.broadcast_to(context, (n, context.shape[1]))


def _weighted(
    model: Model,
    encoder: Encoder,
    x: Floats,
    variables: Booleans,
    context: Floats | None,
    key: Array,
    draws: int,
    complete: bool,
) -> tuple[Floats, Floats]:
    """Draws of rows (n, draws, width) and the logarithms of their weights (n, draws)."""
    barred = np.full(len(encoder.variables), -1, np.int32)
    for v, variable in enumerate(encoder.variables):
        if complete and variable.size and encoder.columns[variable.column].is_missing:
            barred[v] = variable.size - 1
    rows, weights = np.empty((len(x), draws, x.shape[1])), np.empty((len(x), draws))
    at_once = max(1, ROWS // draws)
    for start in range(0, len(x), at_once):
        part = slice(start, start + at_once)
        many, known = np.repeat(x[part], draws, axis=0), np.repeat(variables[part], draws, axis=0)
        given = None if context is None else np.repeat(_for_each(context, len(x))[part], draws, axis=0)
        drawn, weight = mixed_rows.drawn(model, jax.random.fold_in(key, start), many, known, barred, given)
        rows[part], weights[part] = drawn.reshape(-1, draws, x.shape[1]), weight.reshape(-1, draws)
    return rows, weights
