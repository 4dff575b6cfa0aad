"""Regression as a conditional density, as a scikit-learn estimator."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from densiflow.arguments import is_real
from densiflow.errors import ArgumentError, ModelFileError, TableError
from densiflow.estimators.density import FlowDensity
from densiflow.estimators.features import remember_features
from densiflow.estimators.fitted import check_fitted
from densiflow.estimators.parameters import held_params, passed_on, restored_params
from densiflow.estimators.pickling import Kept
from densiflow.estimators.randomness import RandomState
from densiflow.estimators.row_by_row import means, quantiles, sliceable
from densiflow.estimators.targets import read_targets
from densiflow.flow import Flow
from densiflow.table import frames
from densiflow.table.refusals import shown
from densiflow.training import History
from densiflow.training.fit import Checkpointed

Floats = NDArray[np.float64]


class FlowRegressor(Kept, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""The density of one or several targets given a row of X: means, quantiles, intervals, draws.

    .. math:: \log p(y \mid x), \qquad \text{predict}(x) = \operatorname E[y \mid x] = \int_0^1 Q(u \mid x)\, du

    Inside is a `FlowDensity` of the targets with X as its context, ``density_``, fitted by maximum likelihood. So the
    spread, the skew and the number of modes of y may all depend on x. Columns of X may be numbers, labels, dates, and
    have missing cells.

    Args:
        flow: "auto", for each target a mixture of normals given x and the targets before it, "mixed" in `FlowDensity`;
            the name of a recipe; or a `Flow` to start from, of as many columns as targets. Means and quantiles are the
            most exact on a standard normal base, which every recipe but "maf_mog" has.
        targets: kinds of targets by position, such as ``{0: "positive"}``; the others are real numbers. A recipe or a
            `Flow` takes real numbers alone.
        layers, hidden, activation, ensemble, validation, max_epochs, patience, batch_size, learning_rate, weight_decay,
            dtype, random_state, verbose: as in `FlowDensity`.

    Attributes: ``density_``, ``flow_``, ``history_``, ``n_outputs_``, ``n_features_in_``, and for tables with named
    columns ``feature_names_in_``.

    Raises `TableError`, `WeightError` or `ArgumentError`, each naming the column, the row or the argument;
    `TrainingError` if no finite log-likelihood was found.

    Source: Bishop 1994, "Mixture density networks"; Papamakarios et al. 2017, section 3.3 (conditional MAF).

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> y = X[:, 0] + 0.1 * rng.normal(size=300)
    >>> regressor = FlowRegressor(hidden=(8,), max_epochs=5, random_state=0).fit(X, y)
    >>> regressor.predict(X).shape, regressor.predict_interval(X, coverage=0.9).shape
    ((300,), (300, 2))
    """

    def __init__(
        self,
        flow: str | Flow = "auto",
        targets: Mapping[Any, str] | None = None,
        *,
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
        self.targets = targets
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
        """Fit the density of `y`, (rows,) or (rows, targets), given the rows of `X`.

        With a `checkpoint` as in `FlowDensity.fit` a fit that was interrupted is gone on with.
        """
        schema, matrix = frames.read(X, mixed=True)
        numbers = read_targets(y, len(matrix), "FlowRegressor")
        targets = numbers.reshape(len(matrix), -1)
        density = FlowDensity(self._recipe(), self._kinds(targets.shape[1]), **passed_on(self))
        self.density_ = density.fit(targets, context=X, sample_weight=sample_weight, checkpoint=checkpoint)
        self.n_outputs_ = targets.shape[1]
        self._one_number = numbers.ndim == 1  # whether y was (rows,), as what is predicted will be
        remember_features(self, schema)
        return self

    def predict(self, X: Any) -> Floats:
        """The mean of y given each row: (rows,), or (rows, targets)."""
        given = self._checked(X)
        return self._shaped(means(self.density_, given))

    def predict_quantiles(self, X: Any, q: ArrayLike) -> Floats:
        """Quantiles of y given each row: (rows,) for one level q, else (rows, levels); each target's own.

        With several targets (rows, targets), or (rows, targets, levels). Raises `ArgumentError` for levels outside
        0 to 1.
        """
        levels = _checked_levels(q)
        given = self._checked(X)
        values = self._shaped(quantiles(self.density_, given, levels.ravel()))
        return values[..., 0] if levels.ndim == 0 else values

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Floats:
        """The central interval that holds y with that probability: (rows, 2), or (rows, targets, 2)."""
        if not is_real(coverage) or not 0 < coverage < 1:
            raise ArgumentError(f"coverage must be a number between 0 and 1, got {shown(coverage)}")
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])

    def log_prob(self, X: Any, y: Any) -> Floats:
        """(rows,) log densities of y given the rows of X, nats, in the units of y."""
        given = self._checked(X)
        targets = read_targets(y, len(given), "log_prob").reshape(len(given), -1)
        if targets.shape[1] != self.n_outputs_:
            raise TableError(f"y must have {self.n_outputs_} targets as fitted, got {targets.shape[1]}")
        return self.density_.score_samples(targets, context=given)

    def sample(self, X: Any, n: int = 1, random_state: RandomState = None) -> Floats:
        """Draw n values of y given each row: (n, rows), or (n, rows, targets)."""
        given = self._checked(X)
        drawn = np.asarray(self.density_.sample(n, context=given, random_state=random_state), np.float64)
        values = drawn.reshape(len(given), n, self.n_outputs_).transpose(1, 0, 2)
        return values[..., 0] if self._one_number else values

    @property
    def flow_(self) -> Any:
        """The fitted `Flow` or `Ensemble` of the targets."""
        return self.density_.flow_

    @property
    def history_(self) -> History:
        """Of the training, in nats a row."""
        return self.density_.history_

    def _recipe(self) -> str | Flow:
        return "mixed" if isinstance(self.flow, str) and self.flow == "auto" else self.flow

    def _kinds(self, width: int) -> dict[Any, str]:
        given = {} if self.targets is None else self.targets
        if not isinstance(given, Mapping):
            raise ArgumentError(f"targets must be a mapping such as {{0: 'positive'}}, got {shown(given)}")
        return dict.fromkeys(range(width), "real") | dict(given)

    def _checked(self, X: Any) -> Any:
        """X as a data frame or an array, or an error that says what is wrong with it."""
        check_fitted(self)
        frames.matching(_given_schema(self.density_), X, mixed=True)
        return sliceable(X)

    def _shaped(self, values: Floats) -> Floats:
        """Values (rows, targets, ...) without the axis of targets where y had none."""
        return values[:, 0] if self._one_number else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True  # a missing cell of X is one more thing that is given
        return tags

    def _to_state(self) -> dict[str, Any]:
        return {
            "params": held_params(self),
            "density": self.density_._to_state(),
            "one_number": self._one_number,
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        density = FlowDensity._from_state(state["density"])
        estimator = cls(**restored_params(state["params"], density.flow))
        estimator.density_, estimator._one_number = density, bool(state["one_number"])
        estimator.n_outputs_ = density.n_features_in_
        remember_features(estimator, _given_schema(density))
        return estimator


def _given_schema(density: FlowDensity) -> frames.Schema:
    """The schema of X."""
    if density.context_encoder_ is None:
        raise ModelFileError("holds a regressor whose density has no context")
    return density.context_encoder_.schema


def _checked_levels(q: ArrayLike) -> Floats:
    try:
        levels = np.asarray(q, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"q must be one level between 0 and 1, or several, got {shown(q)}") from None
    if levels.ndim > 1 or levels.size == 0 or not ((levels > 0) & (levels < 1)).all():
        raise ArgumentError(f"q must be one level between 0 and 1, or several, got {shown(q)}")
    return levels
