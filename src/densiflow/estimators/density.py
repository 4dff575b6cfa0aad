"""The density of a table, as a scikit-learn estimator."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from densiflow import precision
from densiflow.arguments import check_count
from densiflow.ensemble import Ensemble
from densiflow.errors import ArgumentError, ShapeError
from densiflow.estimators import checkpoints, conditioning, given, mixed_rows, parts, saved, within_seen
from densiflow.estimators.conditioning import DRAWS
from densiflow.estimators.features import remember_features
from densiflow.estimators.fitted import Fitted, check_fitted
from densiflow.estimators.pickling import Kept
from densiflow.estimators.randomness import RandomState, key_of
from densiflow.estimators.some_columns import Conditional, Marginal
from densiflow.estimators.unfitted import choices_for, detects, dtype_to_fit, kinds_of, reads_kinds, unfitted
from densiflow.flow import Flow
from densiflow.rows import batch
from densiflow.table import frames
from densiflow.table.as_fitted import as_fitted
from densiflow.table.batches import shares
from densiflow.table.encode import Encoder
from densiflow.training.fit import Checkpointed, generator
from densiflow.training.fit_ensemble import fit_one_or_several
from densiflow.training.options import Options
from densiflow.training.progress import is_shown
from densiflow.training.rows import Rows, checked_fraction, checked_weight, split

Floats = NDArray[np.float64]

FEWEST_TO_HOLD_OUT = 10  # tables of fewer rows are fitted whole, for a fixed number of epochs
EPOCHS_WHEN_WHOLE = 100


class FlowDensity(Kept, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""The joint density of a table's columns, or their density given context columns.

    .. math:: \log p(\text{row}) = \log p_Z(z) + \log\left|\det \frac{\partial z}{\partial x}\right|
              + \sum_j \log \frac{dx_j}{d\,\text{column}_j}

    Columns are encoded in float64 (standardised, cells far out drawn in; see `table.columns.Real`), and a flow is
    fitted to what comes of them by maximum likelihood. Densities are in nats per row, in the units of the table. Where
    columns are discrete or have missing cells, it is the log of mass times density (see `bases.Mixed`).

    Args:
        flow: "auto", a MAF on a Student-t base where all columns are real numbers and "mixed" where they are not, with
            what follows chosen by the table's size; "mixed", cells one after the other, each given those before it; the
            name of a recipe, such as "maf" or "neural_spline", for that on its own base; or a `Flow` to start from.
            The last two take real numbers alone.
        columns: kinds of columns by name, those of a context too, such as ``{"price": "positive"}`` or with options
            ``{"price": {"kind": "bounded", "low": 0}}``; others are read from the cells of a data frame, and real in an
            array of numbers. "auto" reads all from their cells, "real" none.
        layers, hidden, activation: the recipe's; None leaves the choice to "auto". For "mixed", residual blocks and
            their width.
        ensemble: how many flows to fit, from different starting points and in different orders of the same rows; the
            density is the mean of theirs. With more than one there is no ``transform``.
        bootstrap: whether each of them has rows of its own, drawn from the training rows with replacement: then how far
            they differ also says how far other rows would have led, which stated errors count; see `Marginal`.
        validation: the fraction of rows held out for early stopping; 0 needs ``max_epochs``.
        max_epochs, patience, batch_size, learning_rate, weight_decay: as in `training.fit`.
        dtype: "float32", "float64", or None for JAX's default float or that of the `Flow` given. float64 needs no
            JAX setting here.
        random_state: int, RandomState, Generator or None; seeds fitting only.
        verbose: progress on stderr; None shows it on a terminal.

    Attributes: ``flow_`` (the fitted `Flow` or `Ensemble`, on encoded columns), ``history_`` (of the first member),
    ``histories_`` (of each), ``choices_``, ``encoder_``,
    ``n_features_in_``, and for tables with named columns ``feature_names_in_``.

    Raises `TableError`, `ContextError`, `WeightError` or `ArgumentError`, each naming the column, the row or the
    argument; `TrainingError` if no finite log-likelihood was found.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation".

    >>> X = np.random.default_rng(0).normal([0.0, 5.0], [1.0, 3.0], (200, 2))
    >>> density = FlowDensity(layers=1, hidden=(8,), max_epochs=3, random_state=0).fit(X)
    >>> density.score_samples(X).shape, density.sample(4, random_state=1).shape
    ((200,), (4, 2))
    """

    def __init__(
        self,
        flow: str | Flow = "auto",
        columns: Mapping[Any, Any] | str | None = None,
        *,
        layers: int | None = None,
        hidden: Sequence[int] | None = None,
        activation: str | None = None,
        ensemble: int = 1,
        bootstrap: bool = False,
        validation: float = 0.1,
        max_epochs: int | None = None,
        patience: int | None = 30,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float | None = None,
        dtype: DTypeLike | None = None,
        random_state: RandomState = None,
        verbose: bool | None = None,
    ) -> None:
        self.flow = flow
        self.columns = columns
        self.layers = layers
        self.hidden = hidden
        self.activation = activation
        self.ensemble = ensemble
        self.bootstrap = bootstrap
        self.validation = validation
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        context: Any = None,
        sample_weight: ArrayLike | None = None,
        checkpoint: Checkpointed = None,
    ) -> Self:
        """Fit the density of the rows of `X`, or of `X` given `context` with as many rows; `y` is ignored.

        Statistics come from the training rows alone. Ctrl-C keeps the best so far. With a `checkpoint`, a path or a
        `training.Checkpoint`, a fit that was interrupted is gone on with by the same call, to the same result; where no
        int seeds it, with the seed of the interrupted one. Raises `CheckpointError` for the checkpoint of another fit.
        """
        check_count("ensemble", self.ensemble, 1)
        if self.bootstrap and self.ensemble == 1:
            raise ArgumentError("bootstrap draws rows for each flow of an ensemble, but ensemble is 1: give 2 or more")
        mixed = reads_kinds(self.flow)
        schema, matrix = frames.read(X, mixed=mixed)
        weight = checked_weight(sample_weight, len(matrix))
        detect = mixed and detects(schema, self.columns)
        frames.check_fit(schema, matrix, weight, mixed=detect)
        context_schema, context_matrix = given.read(context, len(matrix))
        tables = {"table": (schema, matrix), "context": (context_schema, context_matrix), "sample_weight": (weight,)}
        key, keeper = checkpoints.begun(self, checkpoint, tables)
        rng_key, flow_key = jax.random.split(key)
        rng = generator(rng_key)
        validation, max_epochs = self._validation(int(np.count_nonzero(weight)))
        train, held = split(Rows(matrix, context_matrix, weight), validation, rng)
        kinds, context_kinds = kinds_of(self.columns, schema, context_schema)
        encoder = Encoder.fit(schema, train.x, train.weight, kinds, detect=detect)
        context_encoder = None
        if context_schema is not None and train.context is not None:
            detect = detects(context_schema, None)
            context_encoder = Encoder.fit(context_schema, train.context, train.weight, context_kinds, detect=detect)
        choices = choices_for(self, len(train), encoder)
        options = Options(
            max_epochs, self.patience, choices.batch_size, self.learning_rate, choices.weight_decay, self.verbose
        )
        if is_shown(self.verbose):
            print(f"fitting {len(train)} rows of {schema.width} columns: {choices}", file=sys.stderr, flush=True)
        with self._precision(dtype_to_fit(self)):
            keys = [flow_key] if self.ensemble == 1 else jax.random.split(flow_key, self.ensemble)
            flows = [unfitted(self, key, encoder, given.width_of(context_encoder), choices) for key in keys]
            held = None if held is None else _possible(_encoded(held, encoder, context_encoder))
            seen = _encoded(train, encoder, context_encoder)
            fitted, histories = fit_one_or_several(flows, rng, seen, held, options, keeper, bootstrap=self.bootstrap)
        # only now, so that a fit that fails leaves the estimator as it was
        self.flow_, self.histories_, self.history_, self.choices_ = fitted, histories, histories[0], choices
        self.encoder_, self.context_encoder_ = encoder, context_encoder
        remember_features(self, schema)
        return self

    def score_samples(self, X: Any, *, context: Any = None) -> Floats:
        """(n,) log densities of rows, nats, in the units of `X`.

        A missing cell of a column that had some in fitting is a state with a probability. Any other says nothing, and
        is summed and integrated out as in `Marginal`: such a row has the density of its known cells alone, estimated
        from draws, and the marginal of all columns tells its standard error. It follows from the row's own cells, and
        not from the rows beside it. Warns (`DensiflowWarning`) of rows for which few draws count.
        """
        matrix, encoded = self._rows(X, context, mixed=True)
        with self._fitted_precision():
            return conditioning.log_probs(self._fitted(), matrix, encoded)

    def column_scores(
        self,
        X: Any,
        *,
        context: Any = None,
        draws: int = DRAWS,
        random_state: RandomState = 0,
        return_std: bool = False,
    ) -> Any:
        r"""(n, columns): the log probability of each cell given those before it, in nats, in the units of its column.

        .. math:: \log p(\text{row}) = \sum_j \log p(x_j \mid x_1, \dots, x_{j-1})

        They add up to `score_samples`. Exact for whole rows in a model of mixed rows; else differences of marginals of
        the first columns, each estimated from `draws` of the others, see `Marginal`: columns times draws evaluations of
        the flow for each row. A missing cell that says nothing adds 0. With ``return_std`` their standard errors
        (n, columns) too.
        """
        check_count("draws", draws, 2)
        matrix, encoded = self._rows(X, context, mixed=True)
        with self._fitted_precision():
            nats, error = parts.column_scores(self._fitted(), matrix, encoded, key_of(random_state), draws)
        return (nats, error) if return_std else nats

    def pit(self, X: Any, *, context: Any = None, random_state: RandomState = None) -> Floats:
        """(n, columns): the probability of less than each cell, given those before it in its row or in base space.

        Where the model is right these are uniform and independent. The number of a discrete cell is drawn from the
        interval that it takes; for an ensemble of flows of real numbers, which have no one base space, the member in
        whose base space a row is looked at is drawn by its share in the row's density.
        """
        matrix, encoded = self._rows(X, context)
        rng = generator(key_of(random_state))
        with self._fitted_precision():
            return parts.pit(self.flow_, self.encoder_, matrix, encoded, rng)

    def marginal(self, columns: Sequence[Any]) -> Marginal:
        """The density of some columns alone, the others summed and integrated out; see `Marginal`."""
        check_fitted(self)
        return Marginal(self, columns)

    def conditional(self, given: Mapping[Any, Any]) -> Conditional:
        """The distribution of the other columns where some hold given values; see `Conditional`."""
        check_fitted(self)
        return Conditional(self, given)

    def impute(self, X: Any, *, context: Any = None, draws: int = DRAWS, random_state: RandomState = None) -> Any:
        """The table with its missing cells drawn from what the model expects there, given those present.

        Of several draws of a row one is taken by its weight, and what is drawn keeps within what was seen as in
        `sample`. A flow of real numbers, fitted on complete rows, fills cells that are missing afterwards; the first
        time it trains a companion that draws them, see `Marginal`.
        """
        check_count("draws", draws, 2)
        matrix, encoded = self._rows(X, context, mixed=True)
        with self._fitted_precision():
            filled = conditioning.imputed(self._fitted(), matrix, encoded, key_of(random_state), draws=draws)
        return self.encoder_.build(filled)

    def score(self, X: Any, y: Any = None, *, context: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The mean of `score_samples`, weighted by `sample_weight`; `y` is ignored."""
        nats = self.score_samples(X, context=context)
        return float(np.average(nats, weights=checked_weight(sample_weight, len(nats))))

    def sample(
        self, n_samples: int = 1, *, context: Any = None, complete: bool = False, random_state: RandomState = None
    ) -> Any:
        """Draw rows, in the container, column names and dtypes of the table fitted on.

        With m context rows, ``n_samples * m`` rows: all draws of the first context row first. A row depends on
        the seed and its place alone. Cells are missing as often as in the table fitted on; with ``complete`` none is.
        Numbers that were real in fitting are any; others lie between the least and the greatest seen, and rows follow
        the density given that they do.
        """
        matrix = next(self._drawn(n_samples, context, random_state))
        if complete and np.isnan(matrix).any():
            matrix = self._completed(matrix, n_samples, context, random_state)
        return self.encoder_.build(matrix)

    def sample_batches(self, n_samples: int, *, context: Any = None, random_state: RandomState = None) -> Iterator[Any]:
        """What `sample` draws, to the bit, in tables of so many rows that memory is bounded."""
        check_fitted(self)
        for matrix in self._drawn(n_samples, context, random_state, batch(self.flow_)):
            yield self.encoder_.build(matrix)

    def transform(self, X: Any, *, context: Any = None) -> Floats:
        """Rows of the table to base space: float64 (n, columns), named z0, z1, ... where containers have names.

        Every cell needs a place there: `TableError` for one that is missing from a table of real numbers.
        """
        flow = self._single_flow()
        matrix, encoded = self._rows(X, context)
        with self._fitted_precision():
            return parts.to_base(flow, self.encoder_, matrix, encoded)

    def inverse_transform(self, Z: Any, *, context: Any = None) -> Any:
        """Rows in base space to the table: the container, column names and dtypes fitted on."""
        flow = self._single_flow()
        _, z = frames.read(Z, "Z")
        if z.shape[1] != self.n_features_in_:
            raise ShapeError(f"Z must have {self.n_features_in_} columns, got {z.shape[1]}")
        encoded = self._encoded_context(context, len(z))
        with self._fitted_precision():
            return self.encoder_.build(parts.to_cells(flow, self.encoder_, z, encoded))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The names of base columns: z0, z1, ..."""
        check_fitted(self)
        return np.array([f"z{i}" for i in range(self.n_features_in_)], dtype=object)

    # what fitting needs

    def _validation(self, rows: int) -> tuple[float, int | None]:
        """The fraction to hold out and the limit of epochs, for that many rows."""
        fraction = checked_fraction(self.validation)
        if rows < FEWEST_TO_HOLD_OUT and fraction > 0:
            return 0.0, EPOCHS_WHEN_WHOLE if self.max_epochs is None else self.max_epochs
        return fraction, self.max_epochs

    # what a fitted estimator needs

    def _single_flow(self) -> Flow:
        """The fitted flow, where there is one."""
        check_fitted(self)
        if isinstance(self.flow_, Ensemble):
            raise ArgumentError(
                f"an ensemble of {self.flow_.members} flows has no one base space to transform to or from: fit with "
                f"ensemble=1, or take a member from flow_.unstacked()"
            )
        return self.flow_

    def _fitted(self) -> Fitted:
        return Fitted(self.flow_, self.encoder_, self.context_encoder_, self.verbose)

    def _rows(self, X: Any, context: Any, *, mixed: bool = False) -> tuple[Floats, Floats | None]:
        """The cells of a table and its context as the flow takes it; with ``mixed`` cells may be missing."""
        check_fitted(self)
        matrix = as_fitted(self.encoder_, X, "the table", mixed=mixed or mixed_rows.is_mixed(self.flow_))
        return matrix, self._encoded_context(context, len(matrix))

    def _encoded_context(self, context: Any, rows: int | None = None) -> Floats | None:
        """Context rows as the flow takes them, (m, c): one, or as many as `rows` where that is given."""
        return given.encoded(self.context_encoder_, context, rows)

    def _precision(self, dtype: np.dtype[Any] | None) -> AbstractContextManager[Any]:
        wide = dtype is not None and dtype == np.float64  # numpy takes None for float64
        return jax.enable_x64(True) if wide else nullcontext()

    def _fitted_precision(self) -> AbstractContextManager[Any]:
        return self._precision(precision.dtype_of(self.flow_))

    def _drawn(self, n_samples: int, context: Any, random_state: Any, size: int | None = None) -> Iterator[Floats]:
        """Cells drawn, all at once or in batches of `size`."""
        check_fitted(self)
        check_count("n_samples", n_samples, 1)
        encoded = self._encoded_context(context)
        key, start = key_of(random_state), 0
        count = n_samples * (1 if encoded is None else len(encoded))
        for rows in shares(count, size or count):
            seen = None if encoded is None else encoded[np.arange(start, start + rows) // n_samples]
            with self._fitted_precision():
                x = within_seen.drawn(self.flow_, self.encoder_, key, np.arange(start, start + rows), seen)
            yield self.encoder_.decode(x, drawn=True)
            start += rows

    def _cells(self, n_samples: int, context: Any, random_state: RandomState) -> Floats:
        return next(self._drawn(n_samples, context, random_state))

    def _completed(self, matrix: Floats, n_samples: int, context: Any, random_state: RandomState) -> Floats:
        """The rows drawn, with those that lack a cell drawn anew, cell by cell, as if none were ever missing."""
        lacking = np.isnan(matrix).any(axis=1)
        encoded = self._encoded_context(context)
        if encoded is not None:
            encoded = np.repeat(encoded, n_samples, axis=0)[lacking]
        nothing = np.full((int(lacking.sum()), matrix.shape[1]), np.nan)
        with self._fitted_precision():
            key = jax.random.fold_in(key_of(random_state), 1)
            matrix[lacking] = conditioning.imputed(self._fitted(), nothing, encoded, key, draws=1)
        return matrix

    # copies and the model file

    def _to_state(self) -> dict[str, Any]:
        return saved.to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        return saved.from_state(cls, state)


def _possible(rows: Rows) -> Rows:
    """The rows that the encoder, made of others, gives any density: one level not seen would hide all the rest."""
    assert rows.log_volume is not None
    possible = np.isfinite(rows.log_volume)
    return rows if possible.all() or not possible.any() else rows.take(np.flatnonzero(possible))


def _encoded(rows: Rows, encoder: Encoder, context_encoder: Encoder | None) -> Rows:
    """Cells as the flow takes them."""
    x, log_volume = encoder.encode(rows.x)
    context = None
    if rows.context is not None and context_encoder is not None:
        context = given.as_numbers(context_encoder, rows.context)
    return Rows(x, context, rows.weight, log_volume)
