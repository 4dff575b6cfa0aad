"""Classification by the densities of the classes, as a scikit-learn estimator."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from densiflow.arguments import is_real
from densiflow.errors import ArgumentError
from densiflow.estimators.calibration import Calibration
from densiflow.estimators.density import FlowDensity
from densiflow.estimators.features import remember_features
from densiflow.estimators.fitted import check_fitted
from densiflow.estimators.parameters import held_params, passed_on, restored_params
from densiflow.estimators.pickling import Kept
from densiflow.estimators.randomness import RandomState, key_of
from densiflow.estimators.row_by_row import sliceable
from densiflow.estimators.targets import read_labels
from densiflow.estimators.unfitted import check_cells
from densiflow.flow import Flow
from densiflow.table import frames
from densiflow.table.refusals import shown
from densiflow.training import History
from densiflow.training.fit import Checkpointed, generator
from densiflow.training.rows import checked_weight

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

FEWEST_TO_CALIBRATE = 20  # held-out rows; with fewer, probabilities are those of Bayes' rule as it stands


class FlowClassifier(Kept, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Bayes' rule on the density of each class.

    .. math:: p(k \mid x) \propto \pi_k \, p(x \mid k)

    Priors are the classes' (weighted) shares of the rows fitted. Probabilities are calibrated on rows held out from
    the densities: one factor for all log odds and one summand a class, see `Calibration`.

    Args:
        flow: "auto", one column after the other, numbers as mixtures of normals, "mixed" in `FlowDensity`; the name of
            a recipe; or a `Flow` to start from.
        columns: kinds of columns, as in `FlowDensity`.
        share: whether one flow is fitted with the class as its context, so that classes share what they have in
            common; else one `FlowDensity` a class, fitted to its rows alone.
        calibration: the fraction of rows to hold out for calibration; 0 for none. With fewer than 20 such rows there is
            none either, and every row goes to the densities.
        layers, hidden, activation, ensemble, validation, max_epochs, patience, batch_size, learning_rate, weight_decay,
            dtype, random_state, verbose: as in `FlowDensity`.

    Attributes: ``classes_``, ``densities_`` (one, or one a class), ``class_prior_``, ``calibration_``, ``flow_`` and
    ``history_`` (of the first density), ``n_features_in_``, and for tables with named columns ``feature_names_in_``.

    Raises `TableError` for labels that can't be used, and what `FlowDensity` raises.

    Source: Bishop 2006, "Pattern recognition and machine learning", section 4.2 (generative classifiers).

    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["left", "right"], 150)
    >>> X = rng.normal(size=(300, 2)) + 6.0 * (y == "right")[:, None]
    >>> classifier = FlowClassifier(hidden=(8,), max_epochs=20, random_state=0).fit(X, y)
    >>> classifier.predict([[0.0, 0.0], [6.0, 6.0]])
    array(['left', 'right'], dtype='<U5')
    """

    def __init__(
        self,
        flow: str | Flow = "auto",
        columns: Mapping[Any, Any] | None = None,
        *,
        share: bool = True,
        calibration: float = 0.1,
        layers: int | None = None,
        hidden: Sequence[int] | None = None,
        activation: str | None = None,
        ensemble: int = 1,
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
        self.share = share
        self.calibration = calibration
        self.layers = layers
        self.hidden = hidden
        self.activation = activation
        self.ensemble = ensemble
        self.validation = validation
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, sample_weight: ArrayLike | None = None, checkpoint: Checkpointed = None) -> Self:
        """Fit the densities of the rows of `X` given their labels `y` (rows,), then calibrate.

        With a `checkpoint` as in `FlowDensity.fit` a fit that was interrupted is gone on with, if an int seeds it;
        `ArgumentError` for one where each class has a flow of its own, since a file holds one training.
        """
        if checkpoint is not None and not self.share:
            raise ArgumentError("a checkpoint holds one training, but with share=False there is one for each class")
        schema, matrix = frames.read(X, mixed=True)
        labels = read_labels(y, len(matrix), "FlowClassifier")
        weight = checked_weight(sample_weight, len(matrix))
        present = np.flatnonzero(weight)
        classes, codes = np.unique(labels[present], return_inverse=True)
        table, weight = frames.rows_at(sliceable(X), present), weight[present]
        split_key, fit_key = jax.random.split(key_of(self.random_state))
        train, held = self._split(codes, split_key)
        densities = self._fitted_densities(table, codes, weight, train, len(classes), fit_key, checkpoint)
        self.densities_, self.classes_ = densities, classes
        self.class_prior_ = np.bincount(codes, weight) / weight.sum()
        self.calibration_ = Calibration.none(len(classes))
        remember_features(self, schema)
        if len(held):
            self.calibration_ = Calibration.fit(self._scores(frames.rows_at(table, held)), codes[held], weight[held])
        return self

    def class_log_prob(self, X: Any) -> Floats:
        """(n, classes) log densities of rows given each class, nats, in the units of `X`."""
        check_fitted(self)
        check_cells(self.flow, self.densities_[0].encoder_, X)
        table = sliceable(X)
        if not self.share:
            return np.stack([density.score_samples(table) for density in self.densities_], axis=1)
        one_hot = np.eye(len(self.classes_))
        return np.stack([self.densities_[0].score_samples(table, context=row[None]) for row in one_hot], axis=1)

    def score_samples(self, X: Any) -> Floats:
        """(n,) log densities of rows whatever their class: low for rows unlike all that was fitted."""
        return np.logaddexp.reduce(self._scores(X), axis=1)

    def predict_log_proba(self, X: Any) -> Floats:
        """(n, classes) logs of `predict_proba`."""
        scores = self._scores(X)
        return self.calibration_.log_proba(scores)

    def predict_proba(self, X: Any) -> Floats:
        """(n, classes) probabilities of the classes, in the order of ``classes_``."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the most probable label of each row."""
        log_p = self.predict_log_proba(X)
        return self.classes_[np.argmax(log_p, axis=1)]

    @property
    def flow_(self) -> Any:
        """The fitted `Flow` or `Ensemble`, of the first class where each has its own."""
        return self.densities_[0].flow_

    @property
    def history_(self) -> History:
        """Of its training, in nats a row."""
        return self.densities_[0].history_

    def _scores(self, X: Any) -> Floats:
        """(n, classes) log p(x | k) + log pi_k."""
        return self.class_log_prob(X) + np.log(self.class_prior_)

    def _split(self, codes: Places, key: jax.Array) -> tuple[Places, Places]:
        """Places of rows for the densities and of those for calibration, the same fraction of every class."""
        fraction: Any = self.calibration
        if not is_real(fraction) or not 0 <= fraction < 1:
            raise ArgumentError(f"calibration must be a fraction from 0 to below 1, got {shown(fraction)}")
        order = generator(key).permutation(len(codes))
        by_class = [order[codes[order] == code] for code in range(codes.max() + 1)]
        held = np.sort(np.concatenate([places[: round(fraction * len(places))] for places in by_class]))
        if len(held) < FEWEST_TO_CALIBRATE or len(by_class) == 1:
            held = held[:0]
        return np.setdiff1d(np.arange(len(codes)), held), held

    def _fitted_densities(
        self,
        table: Any,
        codes: Places,
        weight: Floats,
        train: Places,
        classes: int,
        key: jax.Array,
        checkpoint: Checkpointed,
    ) -> list[FlowDensity]:
        """One density with the class as its context, or one a class."""
        if self.share:
            given = np.eye(classes)[codes[train]]
            density, rows = self._density(jax.random.fold_in(key, 0)), frames.rows_at(table, train)
            return [density.fit(rows, context=given, sample_weight=weight[train], checkpoint=checkpoint)]
        own = [train[codes[train] == code] for code in range(classes)]
        return [
            self._density(jax.random.fold_in(key, code)).fit(frames.rows_at(table, rows), sample_weight=weight[rows])
            for code, rows in enumerate(own)
        ]

    def _density(self, key: jax.Array) -> FlowDensity:
        flow = "mixed" if isinstance(self.flow, str) and self.flow == "auto" else self.flow
        seed = int(np.asarray(jax.random.key_data(key))[-1])
        return FlowDensity(flow, self.columns, **{**passed_on(self), "random_state": seed})

    def _to_state(self) -> dict[str, Any]:
        return {
            "params": held_params(self),
            "densities": [density._to_state() for density in self.densities_],
            "classes": self.classes_.tolist(),
            "labels": self.classes_.dtype.str,
            "class_prior": self.class_prior_.tolist(),
            "factor": self.calibration_.factor,
            "bias": self.calibration_.bias.tolist(),
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        densities = [FlowDensity._from_state(held) for held in state["densities"]]
        estimator = cls(**restored_params(state["params"], densities[0].flow))
        estimator.densities_ = densities
        estimator.classes_ = np.array(state["classes"], dtype=np.dtype(state["labels"]))
        estimator.class_prior_ = np.asarray(state["class_prior"], np.float64)
        estimator.calibration_ = Calibration(float(state["factor"]), np.asarray(state["bias"], np.float64))
        remember_features(estimator, densities[0].encoder_.schema)
        return estimator
