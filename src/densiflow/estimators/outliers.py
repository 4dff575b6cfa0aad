"""Rows that are unlikely, as a scikit-learn estimator."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from densiflow.arguments import is_real
from densiflow.errors import ArgumentError, DensiflowWarning
from densiflow.estimators.conditioning import DRAWS
from densiflow.estimators.density import FlowDensity
from densiflow.estimators.features import remember_features
from densiflow.estimators.fitted import check_fitted
from densiflow.estimators.parameters import held_params, passed_on, restored_params
from densiflow.estimators.pickling import Kept
from densiflow.estimators.randomness import RandomState
from densiflow.estimators.unfitted import check_cells, reads_kinds
from densiflow.flow import Flow
from densiflow.table.refusals import shown
from densiflow.training import History
from densiflow.training.fit import Checkpointed
from densiflow.training.rows import checked_weight

Floats = NDArray[np.float64]

AUTO = 0.01  # the share of the fitted rows that "auto" calls outliers
TYPICAL = 256  # rows drawn to see what is typical


class FlowOutlierDetector(Kept, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Outliers are the rows of lowest density.

    .. math:: \text{decision}(x) = \log p(x) - \text{offset}, \qquad \text{an outlier where it is below 0}

    Inside is a `FlowDensity`, ``density_``. The offset is what a share of the fitted rows, ``contamination``, lies
    below.

    Args:
        contamination: that share, above 0 and at most 0.5; "auto" is 0.01.
        flow, columns, layers, hidden, activation, ensemble, validation, max_epochs, patience, batch_size,
            learning_rate, weight_decay, dtype, random_state, verbose: as in `FlowDensity`.

    Attributes: ``density_``, ``offset_``, ``flow_``, ``history_``, ``n_features_in_``, and for tables with named
    columns ``feature_names_in_``.

    Raises what `FlowDensity` raises, and `ArgumentError` for a contamination that is no share.

    Source: Bishop 1994, "Novelty detection and neural network validation".

    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> detector = FlowOutlierDetector(layers=1, hidden=(8,), max_epochs=3, random_state=0).fit(X)
    >>> detector.predict([[0.0, 0.0], [9.0, -9.0]])
    array([ 1, -1])
    """

    def __init__(
        self,
        contamination: float | str = "auto",
        flow: str | Flow = "auto",
        columns: Mapping[Any, Any] | None = None,
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
        self.contamination = contamination
        self.flow = flow
        self.columns = columns
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

    def fit(
        self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None, checkpoint: Checkpointed = None
    ) -> Self:
        """Fit the density of the rows of `X`, and the offset to their scores; `y` is ignored.

        With a `checkpoint` as in `FlowDensity.fit` a fit that was interrupted is gone on with.
        """
        share = self._share()
        density = FlowDensity(self.flow, self.columns, **passed_on(self))
        density.fit(X, sample_weight=sample_weight, checkpoint=checkpoint)
        scores = density.score_samples(X)
        weight = checked_weight(sample_weight, len(scores))
        self.density_ = density
        self.offset_ = _weighted_quantile(scores, weight, share)
        self._typical: Floats | None = None  # `typical_surprise_`, once it was asked for
        remember_features(self, density.encoder_.schema)
        return self

    def score_samples(self, X: Any) -> Floats:
        """(n,) log densities of rows, nats, in the units of `X`.

        Missing cells as in `FlowDensity.score_samples`: those that say nothing are integrated out, and the row has the
        density of its other cells, which is of fewer columns than the offset is.
        """
        check_fitted(self)
        return self.density_.score_samples(X)

    def decision_function(self, X: Any) -> Floats:
        """(n,) log densities above the offset: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """(n,) 1 for inliers, -1 for outliers.

        Raises `TableError` for missing cells where ``flow`` is a recipe or a `Flow`, which `fit` refuses there too.
        """
        check_fitted(self)
        check_cells(self.flow, self.density_.encoder_, X)
        return np.where(self.decision_function(X) < 0, -1, 1)

    def contributions(self, X: Any, *, draws: int = DRAWS, return_std: bool = False) -> Any:
        r"""How much each column adds to a row's surprise: (n, columns), in nats, in no units.

        .. math:: c_{ij} = -\log p(x_{ij} \mid x_{i1}, \dots, x_{i,j-1}) - h_j

        with h, `typical_surprise_`: a column of a typical row adds about 0. Rows sum to
        ``-score_samples(X) - typical_surprise_.sum()``. The first term is that of `FlowDensity.column_scores`: exact in
        a model of mixed rows, else by draws, for which the first such call trains a companion for some seconds; give
        the rows in question alone. With ``return_std`` its standard errors (n, columns) too.
        """
        check_fitted(self)
        scores, error = self.density_.column_scores(X, draws=draws, return_std=True)
        contributions = -scores - self.typical_surprise_
        return (contributions, error) if return_std else contributions

    @property
    def typical_surprise_(self) -> Floats:
        r"""(columns,): the mean surprise of each column in rows that the model draws, found when first asked for.

        .. math:: h_j = -\operatorname E \log p(x_j \mid x_1, \dots, x_{j-1})
        """
        check_fitted(self)
        if self._typical is None:
            self._typical = _typical_surprise(self.density_)
        return self._typical

    @property
    def flow_(self) -> Any:
        """The fitted `Flow` or `Ensemble`."""
        return self.density_.flow_

    @property
    def history_(self) -> History:
        """Of the training, in nats a row."""
        return self.density_.history_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = reads_kinds(self.flow)
        return tags

    def _share(self) -> float:
        if isinstance(self.contamination, str) and self.contamination == "auto":
            return AUTO
        share: Any = self.contamination
        if not is_real(share) or not 0 < share <= 0.5:
            raise ArgumentError(f'contamination must be "auto" or a share above 0 and up to 0.5, got {shown(share)}')
        return float(share)

    def _to_state(self) -> dict[str, Any]:
        return {
            "params": held_params(self),
            "density": self.density_._to_state(),
            "offset": self.offset_,
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        density = FlowDensity._from_state(state["density"])
        estimator = cls(**restored_params(state["params"], density.flow))
        estimator.density_, estimator.offset_ = density, float(state["offset"])
        estimator._typical = None
        remember_features(estimator, density.encoder_.schema)
        return estimator


def _typical_surprise(density: FlowDensity) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DensiflowWarning)  # a few rough rows are lost in the mean
        scores = density.column_scores(density.sample(TYPICAL, random_state=0))
    return -scores[np.isfinite(scores).all(axis=1)].mean(axis=0)


def _weighted_quantile(scores: Floats, weight: Floats, share: float) -> float:
    """The number that this share of the weight lies below: midway between two scores where it falls between them.

    >>> _weighted_quantile(np.arange(10.0), np.ones(10), 0.3), _weighted_quantile(np.arange(10.0), np.ones(10), 0.35)
    (2.5, 3.0)
    """
    present = weight > 0
    order = np.argsort(scores[present])
    ordered, below = scores[present][order], np.cumsum(weight[present][order])
    wanted, rounding = share * below[-1], 1e-12 * below[-1]
    place = int(np.searchsorted(below, wanted - rounding))
    after = place + 1 if abs(below[place] - wanted) <= rounding else place
    return float((ordered[place] + ordered[after]) / 2)
