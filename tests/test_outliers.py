"""`FlowOutlierDetector`: rows of low density, and which columns make them so."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from densiflow import Flow, FlowDensity, FlowOutlierDetector, bases, bijections, load
from densiflow.errors import ArgumentError, DensiflowError, TableError
from densiflow.estimators import companion, outliers
from densiflow.estimators.fitted import NotFittedError
from densiflow.estimators.outliers import _weighted_quantile

QUICK = {"layers": 1, "hidden": (8,), "max_epochs": 10, "random_state": 0, "verbose": False}
FEW = 32  # rows: their draws, and those of its multiples, go through one compiled program


@pytest.fixture(scope="module", autouse=True)
def small_companions():
    """Companions that learn less: what they give is right all the same, with larger errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(companion, "ROWS", 1_000)
        patch.setattr(companion, "EPOCHS", 4)
        yield


@pytest.fixture
def few_typical(monkeypatch):
    """What is typical is seen in fewer rows, where its own error is not in question."""
    monkeypatch.setattr(outliers, "TYPICAL", FEW)


def rows(n=500, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(50.0, 10.0, n)
    return np.column_stack([a, 0.1 * a + 0.1 * rng.normal(size=n), rng.normal(size=n)])


@pytest.fixture(scope="module")
def X():
    return rows()


@pytest.fixture(scope="module")
def fitted(X):
    return FlowOutlierDetector(0.1, **QUICK).fit(X)


def test_the_scores_are_those_of_the_density(fitted, X):
    density = FlowDensity(**QUICK).fit(X)
    assert np.array_equal(fitted.score_samples(X), density.score_samples(X))
    assert np.array_equal(fitted.decision_function(X), fitted.score_samples(X) - fitted.offset_)
    assert np.array_equal(fitted.predict(X) == -1, fitted.decision_function(X) < 0)


@pytest.mark.parametrize(("contamination", "outliers"), [(0.1, 50), (0.001, 0), (0.0133, 6), (0.5, 250), ("auto", 5)])
def test_so_many_of_the_fitted_rows_are_outliers(X, contamination, outliers):
    detector = FlowOutlierDetector(contamination, **QUICK)
    assert np.count_nonzero(detector.fit_predict(X) == -1) == outliers
    assert np.array_equal(detector.fit_predict(X), detector.predict(X))


def test_planted_outliers_are_found():
    X = np.concatenate([rows(950), rows(50) * [1.0, 1.5, 1.0]])
    found = FlowOutlierDetector(0.05, layers=2, hidden=(16,), max_epochs=40, random_state=0).fit_predict(X)
    assert np.count_nonzero(found[950:] == -1) >= 45


@pytest.mark.usefixtures("few_typical")
@pytest.mark.parametrize("flow", ["auto", "mixed"])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_contributions_are_the_parts_of_the_surprise(X, flow, ensemble):
    options = {**QUICK, "flow": flow, "ensemble": ensemble}
    detector, some = FlowOutlierDetector(**options).fit(X), X[:FEW]
    contributions, error = detector.contributions(some, return_std=True)
    assert contributions.shape == error.shape == some.shape
    surprise = -detector.score_samples(some)
    np.testing.assert_allclose(contributions.sum(axis=1), surprise - detector.typical_surprise_.sum(), atol=1e-4)
    parts = detector.density_.column_scores(some)
    assert np.array_equal(contributions, -parts - detector.typical_surprise_)
    # and the units of the columns are in none of them
    units = np.array([1.0, 1e3, 1e-6])
    scaled, scaled_error = FlowOutlierDetector(**options).fit(X * units).contributions(some * units, return_std=True)
    assert (np.abs(scaled - contributions) < 4 * np.hypot(error, scaled_error) + 0.05).all()


MIXING = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.5, 0.7]])


def test_contributions_of_a_normal_are_those_of_its_conditionals(fitted, monkeypatch):
    """Its columns given the earlier ones are normal numbers with the diagonal of the mixing as deviations."""
    monkeypatch.setattr(companion, "ROWS", 3_000)
    monkeypatch.setattr(companion, "EPOCHS", 5)
    detector = copy.deepcopy(fitted)
    turned = bijections.Chain([bijections.Linear(MIXING), bijections.Linear(np.linalg.qr(MIXING)[0])])
    detector.density_.flow_ = Flow(turned, bases.Normal(3))
    drawn = np.asarray(detector.density_.sample(2 * FEW, random_state=1))
    z = np.linalg.solve(MIXING, detector.density_.encoder_.encode(drawn)[0].T).T
    contributions, error = detector.contributions(drawn, return_std=True)
    typical = 4 / np.sqrt(2 * 256)  # the deviation of z^2 / 2 - 1 / 2 in as many rows
    assert (np.abs(contributions - (z**2 / 2 - 0.5)) < 4 * error + typical).all()


def test_typical_rows_add_about_nothing(fitted):
    drawn = fitted.density_.sample(256, random_state=1)
    contributions = fitted.contributions(drawn)
    spread = contributions.std(axis=0) * np.sqrt(1 / 256 + 1 / 256)
    assert (np.abs(contributions.mean(axis=0)) < 4 * spread).all()


def test_rows_that_lack_cells_are_scored(fitted, X):
    lacking = X[:3].copy()
    lacking[0, 1] = np.nan
    scores = fitted.score_samples(lacking)
    assert np.isfinite(scores).all()
    assert np.array_equal(fitted.decision_function(lacking), scores - fitted.offset_)
    assert fitted.predict(lacking).shape == (3,)
    assert np.array_equal(scores[1:], fitted.score_samples(X[:3])[1:])


def test_the_column_that_is_odd_contributes_most(fitted, X):
    odd = np.tile(X.mean(axis=0), (3, 1)) + np.diag([60.0, 4.0, 8.0])
    assert (np.argmax(fitted.contributions(odd)[1:], axis=1) == [1, 2]).all()
    assert (fitted.predict(odd) == -1).all()


def test_weights_count_as_rows_do():
    """The offset of weighted rows is that of the rows repeated."""
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=60), rng.integers(0, 4, 60)
    for share in (0.01, 0.1, 0.25, 0.5):
        repeated = np.repeat(scores, weight)
        expected = _weighted_quantile(repeated, np.ones(len(repeated)), share)
        assert _weighted_quantile(scores, weight.astype(float), share) == expected
        assert np.mean(repeated < expected) <= share <= np.mean(repeated <= expected)


def test_rows_of_weight_zero_have_no_say_in_the_offset(X):
    weight = np.arange(len(X)) % 2
    detector = FlowOutlierDetector(0.1, **QUICK).fit(X, sample_weight=weight)
    assert np.count_nonzero(detector.predict(X[weight == 1]) == -1) == 25


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_data_frames(X, fitted, container):
    frame = container({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    detector = FlowOutlierDetector(0.1, **QUICK).fit(frame)
    assert list(detector.feature_names_in_) == ["a", "b", "c"]
    assert np.array_equal(detector.predict(frame), fitted.predict(X))


@pytest.mark.usefixtures("few_typical")
def test_files_and_copies(X, tmp_path, monkeypatch):
    monkeypatch.setattr(companion, "EPOCHS", 1)  # a copy trains its own
    fitted = FlowOutlierDetector(0.1, **QUICK).fit(X)
    contributions = fitted.contributions(X[:FEW])
    fitted.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert isinstance(again, FlowOutlierDetector)
        assert again.get_params() == fitted.get_params()
        assert np.array_equal(again.decision_function(X), fitted.decision_function(X))
        assert np.array_equal(again.contributions(X[:FEW]), contributions)
        assert again.n_features_in_ == 3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d, X: FlowOutlierDetector(0.0).fit(X), ArgumentError, ["contamination", "0.0"]),
        (lambda d, X: FlowOutlierDetector(0.6).fit(X), ArgumentError, ["contamination", "0.6"]),
        (lambda d, X: FlowOutlierDetector("some").fit(X), ArgumentError, ["contamination", "'some'"]),
        (lambda d, X: FlowOutlierDetector().predict(X), NotFittedError, ["FlowOutlierDetector", "fit"]),
        (lambda d, X: FlowOutlierDetector().contributions(X), NotFittedError, ["FlowOutlierDetector", "fit"]),
        (lambda d, X: d.predict(X[:, :2]), TableError, ["2 features", "3"]),
    ],
)
def test_mistakes_are_named(fitted, X, call, error, words):
    with pytest.raises(error) as caught:
        call(fitted, X)
    assert isinstance(caught.value, DensiflowError)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_what_is_not_fitted_to_missing_cells_predicts_of_none(X):
    """As scikit-learn asks; they are scored all the same."""
    detector = FlowOutlierDetector(**{**QUICK, "flow": "made", "max_epochs": 1}).fit(X)
    lacking = np.where(np.arange(3) == 1, np.nan, X[:2])
    with pytest.raises(TableError, match="column 1, row 0 holds NaN"):
        detector.predict(lacking)
    assert np.isfinite(detector.decision_function(lacking)).all()
