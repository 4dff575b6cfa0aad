"""`FlowClassifier`: Bayes' rule on the densities of the classes, calibrated."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from densiflow import FlowClassifier, FlowDensity, load
from densiflow.errors import ArgumentError, DensiflowError, TableError
from densiflow.estimators.calibration import Calibration
from densiflow.estimators.fitted import NotFittedError

QUICK = {"flow": "made", "hidden": (8,), "max_epochs": 20, "learning_rate": 1e-2, "random_state": 0, "verbose": False}


def rows(n=600, seed=0):
    """Three classes of unequal size, of different spread and correlation."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    noise = rng.normal(size=(n, 2))
    scale = np.array([1.0, 0.5, 2.0])[y, None]
    centre = np.array([[0.0, 0.0], [2.0, 2.0], [2.0, -2.0]])[y]
    return (centre + scale * noise) * [1.0, 100.0], np.array(["ash", "birch", "cedar"])[y]


@pytest.fixture(scope="module")
def Xy():
    return rows()


@pytest.fixture(scope="module", params=[True, False], ids=["shared", "apart"])
def fitted(request, Xy):
    return FlowClassifier(share=request.param, **QUICK).fit(*Xy)


def test_probabilities_are_bayes_rule_calibrated(fitted, Xy):
    X, y = Xy
    assert list(fitted.classes_) == ["ash", "birch", "cedar"]
    np.testing.assert_allclose(fitted.class_prior_, [np.mean(y == label) for label in fitted.classes_])
    log_p = fitted.class_log_prob(X)
    assert log_p.shape == (len(X), 3)
    joint = log_p + np.log(fitted.class_prior_)
    calibration = fitted.calibration_
    expected = log_softmax(calibration.factor * joint + calibration.bias, axis=1)
    np.testing.assert_allclose(fitted.predict_log_proba(X), expected, atol=1e-9)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)
    assert np.array_equal(fitted.predict(X), fitted.classes_[np.argmax(expected, axis=1)])
    np.testing.assert_allclose(fitted.score_samples(X), np.logaddexp.reduce(joint, axis=1))


def test_class_densities_sum_to_one_in_the_units_of_the_table(fitted):
    a, b = np.linspace(-12, 14, 261), np.linspace(-1400, 1400, 281)
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(fitted.class_log_prob(grid)).reshape(len(a), len(b), 3)
    mass = np.trapezoid(np.trapezoid(density, b, axis=1), a, axis=0)
    np.testing.assert_allclose(mass, 1.0, atol=0.01)


def test_it_tells_the_classes_apart_as_well_as_their_generator_allows(fitted):
    X, y = rows(3000, seed=1)
    code = np.searchsorted(fitted.classes_, y)
    u = X / [1.0, 100.0]
    centre, scale = np.array([[0.0, 0.0], [2.0, 2.0], [2.0, -2.0]]), np.array([1.0, 0.5, 2.0])
    known = -0.5 * np.sum((u[:, None] - centre) ** 2, axis=2) / scale**2 - 2 * np.log(scale) + np.log([0.5, 0.3, 0.2])
    best = -np.mean(log_softmax(known, axis=1)[np.arange(len(y)), code])
    assert log_loss(y, fitted.predict_proba(X)) < best + 0.08
    assert fitted.score(X, y) > np.mean(np.argmax(known, axis=1) == code) - 0.03


def test_one_density_a_class_is_that_of_its_rows(Xy):
    X, y = Xy
    classifier = FlowClassifier(share=False, calibration=0, **QUICK).fit(X, y)
    seed = classifier.densities_[1].random_state
    alone = FlowDensity(**{**QUICK, "random_state": seed}).fit(X[y == "birch"])
    np.testing.assert_allclose(classifier.class_log_prob(X)[:, 1], alone.score_samples(X), rtol=1e-6)
    assert len(classifier.densities_) == 3


def test_the_default_flow_is_a_mixture(Xy):
    options = {name: value for name, value in QUICK.items() if name != "flow"}
    classifier = FlowClassifier(**options).fit(*Xy)
    assert classifier.densities_[0].flow == "mixed"
    assert classifier.score(*Xy) > 0.85


def test_calibration_finds_the_corrections_that_were_planted():
    rng = np.random.default_rng(0)
    scores = 3.0 * rng.normal(size=(20_000, 3))
    bias = np.array([0.5, 0.0, -0.5])
    p = np.exp(log_softmax(0.4 * scores + bias, axis=1))
    codes = (rng.random((len(p), 1)) > np.cumsum(p, axis=1)).sum(axis=1)
    found = Calibration.fit(scores, codes)
    assert found.factor == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(found.bias - found.bias.mean(), bias, atol=0.06)
    doubled = Calibration.fit(scores, codes, np.full(len(codes), 2.0))
    assert doubled.factor == pytest.approx(found.factor)


def test_calibration_of_rows_that_no_class_can_hold():
    scores = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    np.testing.assert_allclose(np.exp(Calibration.none(2).log_proba(scores)), [[0.5, 0.5], [1.0, 0.0]])


def test_overconfident_densities_are_mended(Xy):
    """Trained far too long on few rows, Bayes' rule is too sure of itself; held-out rows say by how much."""
    X, y = Xy
    rng = np.random.default_rng(0)
    X = np.column_stack([X, rng.normal(size=(len(X), 6))])
    options = {**QUICK, "hidden": (32, 32), "validation": 0, "max_epochs": 150, "weight_decay": 0.0}
    classifier = FlowClassifier(calibration=0.2, **options).fit(X[:300], y[:300])
    assert classifier.calibration_.factor < 0.8
    mended = log_loss(y[300:], classifier.predict_proba(X[300:]))
    classifier.calibration_ = Calibration.none(3)
    assert mended < log_loss(y[300:], classifier.predict_proba(X[300:])) - 0.05


def test_weights_make_priors_and_zero_leaves_a_class_out(Xy):
    X, y = Xy
    weight = np.where(y == "birch", 3.0, 1.0)
    classifier = FlowClassifier(**QUICK).fit(X, y, sample_weight=weight)
    expected = [weight[y == label].sum() / weight.sum() for label in classifier.classes_]
    np.testing.assert_allclose(classifier.class_prior_, expected)
    two = FlowClassifier(**QUICK).fit(X, y, sample_weight=np.where(y == "birch", 0.0, 1.0))
    assert list(two.classes_) == ["ash", "cedar"]


@pytest.mark.parametrize(
    "labels",
    [np.array([3, 7, 9]), np.array([False, True, True]), np.array(["x", "yy", "z"], object), np.array([0.0, 1.0, 2.0])],
    ids=["integers", "booleans", "objects", "floats"],
)
def test_labels_of_any_kind_come_back(Xy, labels, tmp_path):
    X, y = Xy
    y = labels[np.searchsorted(["ash", "birch", "cedar"], y)]
    classifier = FlowClassifier(**QUICK).fit(X, y)
    predicted = classifier.predict(X)
    assert predicted.dtype == y.dtype
    assert set(predicted) <= set(y)
    classifier.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.classes_.dtype == classifier.classes_.dtype
    assert np.array_equal(again.predict(X), predicted)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_data_frames(Xy, container):
    X, y = Xy
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container]({"a": X[:, 0], "b": X[:, 1]})
    series = {"pandas": pd.Series, "polars": pl.Series}[container](y)
    classifier = FlowClassifier(**QUICK).fit(frame, series)
    assert list(classifier.feature_names_in_) == ["a", "b"]
    np.testing.assert_allclose(classifier.predict_proba(frame), FlowClassifier(**QUICK).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("share", [True, False])
def test_columns_of_any_kind(share):
    rng = np.random.default_rng(0)
    y = rng.random(800) < 0.4
    colour = np.where(rng.random(800) < np.where(y, 0.8, 0.3), "red", "blue")
    size = [float(s) if k else None for s, k in zip(rng.normal(2.0 * y), rng.random(800) < 0.9, strict=True)]
    frame = pd.DataFrame({"colour": colour, "size": size})
    options = {"hidden": (16,), "max_epochs": 60, "learning_rate": 1e-2, "random_state": 0, "verbose": False}
    classifier = FlowClassifier(share=share, **options).fit(frame, y)
    known = np.array([0.0 if s is None else 2.0 * s - 2.0 for s in size])  # the log odds of a size
    odds = known + np.where(colour == "red", np.log(0.8 / 0.3), np.log(0.2 / 0.7)) + np.log(0.4 / 0.6)
    best = log_loss(y, 1 / (1 + np.exp(-odds)))
    assert log_loss(y, classifier.predict_proba(frame)) < best + 0.05
    assert np.isfinite(classifier.score_samples(frame)).all()


def test_files_and_copies(fitted, Xy, tmp_path):
    X = Xy[0]
    fitted.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert isinstance(again, FlowClassifier)
        assert again.get_params() == fitted.get_params()
        assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
        assert np.array_equal(again.classes_, fitted.classes_)
        assert again.n_features_in_ == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c, X, y: FlowClassifier().fit(X, None), TableError, ["FlowClassifier requires y"]),
        (lambda c, X, y: FlowClassifier().fit(X, y[:5]), TableError, ["600", "(5,)"]),
        (lambda c, X, y: FlowClassifier().fit(X, X), TableError, ["1d array", "(600, 2)"]),
        (lambda c, X, y: FlowClassifier().fit(X, X[:, 0]), TableError, ["Unknown label type", "FlowRegressor"]),
        (lambda c, X, y: FlowClassifier().fit(X, [None, *y[1:]]), TableError, ["row 0", "None"]),
        (lambda c, X, y: FlowClassifier().fit(X, np.array([1, *y[1:]], object)), TableError, ["text", "int"]),
        (lambda c, X, y: FlowClassifier(calibration=1.0).fit(X, y), ArgumentError, ["calibration", "1.0"]),
        (lambda c, X, y: FlowClassifier().predict(X), NotFittedError, ["FlowClassifier", "fit"]),
        (lambda c, X, y: FlowClassifier().predict_proba(X), NotFittedError, ["FlowClassifier", "fit"]),
        (lambda c, X, y: c.predict(X[:, :1]), TableError, ["1 features", "2"]),
    ],
)
def test_mistakes_are_named(fitted, Xy, call, error, words):
    with pytest.raises(error) as caught:
        call(fitted, *Xy)
    assert isinstance(caught.value, DensiflowError)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
