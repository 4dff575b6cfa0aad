"""`FlowRegressor`: the conditional density of targets, and what is computed from it."""

import copy
import pickle

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import integrate, stats
from sklearn.metrics import r2_score

from densiflow import Flow, FlowRegressor, bases, bijections, load
from densiflow.errors import ArgumentError, DensiflowError, TableError, WeightError
from densiflow.estimators import row_by_row
from densiflow.estimators.fitted import NotFittedError

pytestmark = pytest.mark.usefixtures("optimised")

QUICK = {"hidden": (8,), "max_epochs": 5, "learning_rate": 1e-2, "random_state": 0, "verbose": False}


def rows(n=400, seed=0):
    """Spread and centre depend on x; the target has units of its own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = 100.0 + 30.0 * X[:, 0] + 10.0 * np.exp(0.5 * X[:, 1]) * rng.normal(size=n)
    return X, y


@pytest.fixture(scope="module")
def Xy():
    return rows()


@pytest.fixture(scope="module")
def fitted(Xy):
    return FlowRegressor(**QUICK).fit(*Xy)


@pytest.fixture(scope="module")
def several(Xy):
    X, y = Xy
    return FlowRegressor(flow="made", **QUICK).fit(X, np.column_stack([y, 0.1 * y + X[:, 1]]))


@pytest.fixture(scope="module")
def ensemble(Xy):
    return FlowRegressor(ensemble=2, **QUICK).fit(*Xy)


def density_on_a_grid(regressor, x, grid):
    return np.exp(regressor.log_prob(np.repeat(x[None], len(grid), axis=0), grid))


@pytest.mark.parametrize("which", ["fitted", "ensemble"])
def test_mean_and_quantiles_are_those_of_the_density(which, request, Xy):
    """Against integrals of exp(log_prob) over a grid, which know nothing of base space."""
    regressor, X = request.getfixturevalue(which), Xy[0]
    grid = np.linspace(-300.0, 500.0, 8001)
    levels = [0.05, 0.3, 0.5, 0.9]
    mean, quantiles = regressor.predict(X[:4]), regressor.predict_quantiles(X[:4], levels)
    for i in range(4):
        density = density_on_a_grid(regressor, X[i], grid)
        assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=2e-3)
        assert mean[i] == pytest.approx(np.trapezoid(grid * density, grid), abs=0.2)
        below = integrate.cumulative_trapezoid(density, grid, initial=0.0)
        np.testing.assert_allclose(np.interp(quantiles[i], grid, below), levels, atol=2e-3)


def test_a_density_known_in_closed_form(Xy):
    """Linear regression with one spread for all: a flow that is nothing but its scaling and its base."""
    X, y = Xy
    flow = Flow(bijections.Autoregressive(jax.random.key(0), 1, context_dim=2, hidden=(4,)), bases.Normal(1))
    regressor = FlowRegressor(flow, validation=0, max_epochs=1, learning_rate=1e-12).fit(X, y)
    # the untrained flow is the identity on standardised, slightly bent targets
    z = np.linspace(-8.0, 8.0, 4001)
    encoded = regressor.density_.encoder_.encode(y[:, None])[0]
    values = regressor.density_.encoder_.decode(encoded.mean() + encoded.std() * z[:, None])[:, 0]
    mean = np.trapezoid(values * stats.norm.pdf(z), z)
    np.testing.assert_allclose(regressor.predict(X[:3]), mean, rtol=1e-5)
    quantile = np.interp(stats.norm.ppf(0.3), z, values)
    np.testing.assert_allclose(regressor.predict_quantiles(X[:3], 0.3), quantile, rtol=1e-4)


def test_the_density_follows_a_known_one():
    X, y = rows(3000)
    regressor = FlowRegressor(hidden=(32,), max_epochs=60, random_state=0, verbose=False).fit(X, y)
    X_new, y_new = rows(2000, seed=1)
    centre, spread = 100.0 + 30.0 * X_new[:, 0], 10.0 * np.exp(0.5 * X_new[:, 1])
    known = stats.norm.logpdf(y_new, centre, spread)
    gap = known - regressor.log_prob(X_new, y_new)
    assert gap.mean() < 0.05  # nats lost
    assert np.sqrt(np.mean((regressor.predict(X_new) - centre) ** 2)) < 3.0  # of a spread of 30
    for coverage in (0.5, 0.9):
        low, high = regressor.predict_interval(X_new, coverage).T
        assert np.mean((low <= y_new) & (y_new <= high)) == pytest.approx(coverage, abs=0.03)


def test_shapes(fitted, several, Xy):
    X = Xy[0][:7]
    assert fitted.predict(X).shape == (7,)
    assert fitted.predict_quantiles(X, 0.5).shape == (7,)
    assert fitted.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (7, 3)
    assert fitted.predict_interval(X).shape == (7, 2)
    assert fitted.sample(X, 4, random_state=0).shape == (4, 7)
    assert several.predict(X).shape == (7, 2)
    assert several.predict_quantiles(X, 0.5).shape == (7, 2)
    assert several.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (7, 2, 3)
    assert several.predict_interval(X).shape == (7, 2, 2)
    assert several.sample(X, 4, random_state=0).shape == (4, 7, 2)
    assert several.n_outputs_ == 2
    one = FlowRegressor(flow="made", **QUICK).fit(Xy[0], Xy[1][:, None])
    assert one.predict(X).shape == (7, 1)
    assert one.predict_interval(X).shape == (7, 1, 2)
    assert one.sample(X, 4).shape == (4, 7, 1)


def test_several_targets_agree_with_their_draws(several, Xy):
    X = Xy[0][:3]
    drawn = several.sample(X, 40_000, random_state=1)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(several.predict(X) - drawn.mean(axis=0)) < 4 * error + 0.01 * drawn.std(axis=0)).all()
    quantiles = several.predict_quantiles(X, [0.1, 0.5, 0.9])
    below = np.mean(drawn[..., None] <= quantiles, axis=0)
    np.testing.assert_allclose(below, np.broadcast_to([0.1, 0.5, 0.9], below.shape), atol=0.01)


def test_a_base_whose_levels_are_not_known_is_drawn_from(Xy):
    X, y = Xy
    regressor = FlowRegressor(flow="maf_mog", layers=1, **QUICK).fit(X, y)
    drawn = regressor.sample(X[:3], 40_000, random_state=1)
    spread = drawn.std(axis=0)
    assert (np.abs(regressor.predict(X[:3]) - drawn.mean(axis=0)) < 5 * spread / np.sqrt(row_by_row.POINTS)).all()
    below = np.mean(drawn <= regressor.predict_quantiles(X[:3], 0.5), axis=0)
    np.testing.assert_allclose(below, 0.5, atol=0.08)


@pytest.mark.parametrize("which", ["fitted", "several", "ensemble"])
def test_a_row_does_not_depend_on_the_rows_beside_it(which, request, Xy, monkeypatch):
    regressor, X = request.getfixturevalue(which), Xy[0][:300]
    whole = regressor.predict(X), regressor.predict_quantiles(X, [0.2, 0.7])
    for place in (slice(0, 5), slice(295, 300)):
        np.testing.assert_allclose(regressor.predict(X[place]), whole[0][place], rtol=1e-5)
        np.testing.assert_allclose(regressor.predict_quantiles(X[place], [0.2, 0.7]), whole[1][place], rtol=1e-5)
    monkeypatch.setattr(row_by_row, "VALUES", row_by_row.POINTS * 64)  # in several pieces
    np.testing.assert_allclose(regressor.predict(X), whole[0], rtol=1e-5)


def test_quasi_random_points_fill_the_cube():
    for dim in (1, 2, 5):
        points = row_by_row._quasi_random(dim)
        assert ((points > 0) & (points < 1)).all()
        np.testing.assert_allclose(points.mean(axis=0), 0.5, rtol=1e-12)
        np.testing.assert_allclose(np.cov(points.T).reshape(dim, dim), np.eye(dim) / 12, atol=3e-3)


def test_the_score_is_r2(fitted, several, Xy):
    X, y = Xy
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)))
    both = np.column_stack([y, 0.1 * y + X[:, 1]])
    weight = np.arange(len(y))
    assert several.score(X, both, weight) == pytest.approx(r2_score(both, several.predict(X), sample_weight=weight))


def test_log_prob_is_in_the_units_of_the_target(Xy):
    X, y = Xy
    plain, scaled = (FlowRegressor(**QUICK).fit(X, y * unit) for unit in (1.0, 1000.0))
    gap = plain.log_prob(X, y) - scaled.log_prob(X, y * 1000.0)
    np.testing.assert_allclose(gap, np.log(1000.0), atol=1e-3)


def test_samples_depend_on_the_seed_and_their_place_alone(fitted, Xy):
    X = Xy[0][:5]
    first = fitted.sample(X, 3, random_state=0)
    assert np.array_equal(fitted.sample(X, 3, random_state=0), first)
    assert not np.array_equal(fitted.sample(X, 3, random_state=1), first)
    assert np.array_equal(fitted.sample(X[:2], 3, random_state=0), first[:, :2])


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_data_frames(Xy, fitted, container):
    X, y = Xy
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container]({"a": X[:, 0], "b": X[:, 1]})
    series = {"pandas": pd.Series, "polars": pl.Series}[container](y)
    regressor = FlowRegressor(**QUICK).fit(frame, series)
    assert list(regressor.feature_names_in_) == ["a", "b"]
    np.testing.assert_allclose(regressor.predict(frame), fitted.predict(X), rtol=1e-5)
    np.testing.assert_allclose(regressor.predict_interval(frame), fitted.predict_interval(X), rtol=1e-5)
    assert regressor.sample(frame, 2).shape == (2, len(X))
    with pytest.raises(TableError, match="'b'"):
        regressor.predict(frame[["a"]])


@pytest.mark.parametrize("which", ["fitted", "several", "ensemble"])
def test_files_and_copies(which, request, Xy, tmp_path):
    regressor, X = request.getfixturevalue(which), Xy[0][:20]
    regressor.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(regressor)), copy.deepcopy(regressor)):
        assert isinstance(again, FlowRegressor)
        assert again.get_params() == regressor.get_params()
        assert np.array_equal(again.predict(X), regressor.predict(X))
        assert again.history_ == regressor.history_
        assert again.n_features_in_ == 2


def test_arguments_come_back_from_a_file(Xy, tmp_path):
    flow = Flow(bijections.Autoregressive(jax.random.key(0), 1, context_dim=2, hidden=(4,)), bases.Normal(1))
    regressor = FlowRegressor(flow, {0: "real"}, dtype=np.float64, max_epochs=1, random_state=np.random.default_rng(0))
    regressor.fit(*Xy).save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert isinstance(again.flow, Flow)
    assert again.dtype == "float64"
    assert again.targets == {0: "real"}
    assert again.random_state is None
    assert np.array_equal(again.predict(Xy[0]), regressor.predict(Xy[0]))


@pytest.mark.parametrize("ensemble", [1, 2])
def test_copies_keep_every_bit_of_float64(Xy, ensemble):
    with jax.enable_x64(True):
        start = Flow(
            bijections.Autoregressive(jax.random.key(0), 1, context_dim=2, hidden=(4,), dtype="float64"),
            bases.Normal(1, dtype="float64"),
        )
    regressor = FlowRegressor(start, ensemble=ensemble, max_epochs=1, random_state=0).fit(*Xy)
    for again in (pickle.loads(pickle.dumps(regressor)), copy.deepcopy(regressor)):
        assert again.flow.dtype == again.flow_.dtype == np.float64
        assert np.array_equal(again.predict(Xy[0][:5]), regressor.predict(Xy[0][:5]))


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_columns_of_any_kind_are_given(container):
    """Labels, missing cells and numbers: what depends on them is predicted."""
    rng = np.random.default_rng(0)
    city, size = rng.choice(["Bern", "Oslo"], 600), rng.normal(size=600)
    known = rng.random(600) > 0.3
    y = 5.0 * (city == "Oslo") + np.where(known, size, 8.0) + 0.1 * rng.normal(size=600)
    frame = container({"city": list(city), "size": [float(s) if k else None for s, k in zip(size, known, strict=True)]})
    regressor = FlowRegressor(hidden=(16,), max_epochs=60, random_state=0, verbose=False).fit(frame, y)
    assert regressor.score(frame, y) > 0.95
    assert regressor.predict_interval(frame).shape == (600, 2)


def test_a_target_of_another_kind(Xy):
    X, _ = Xy
    y = np.random.default_rng(0).poisson(np.exp(1.0 + 0.5 * X[:, 0])).astype(float)
    regressor = FlowRegressor(targets={0: "count"}, hidden=(16,), max_epochs=40, random_state=0, verbose=False)
    regressor.fit(X, y)
    mass = np.exp([regressor.log_prob(X[:5], np.full(5, float(k))) for k in range(40)])
    np.testing.assert_allclose(mass.sum(axis=0), 1.0, atol=0.02)
    np.testing.assert_allclose(regressor.predict(X[:5]), np.arange(40) @ mass, atol=0.15)
    assert np.array_equal(regressor.predict_quantiles(X, 0.5), np.round(regressor.predict_quantiles(X, 0.5)))
    assert set(regressor.sample(X[:3], 50, random_state=0).ravel()) <= set(range(40))


def test_weights_of_zero_leave_rows_out(Xy):
    X, y = Xy
    spoiled = np.concatenate([X, X[:50]]), np.concatenate([y, np.full(50, 1e6)])
    weight = np.concatenate([np.ones(len(X)), np.zeros(50)])
    by_weight = FlowRegressor(flow="made", **QUICK).fit(*spoiled, sample_weight=weight)
    plain = FlowRegressor(flow="made", **QUICK).fit(X, y)
    np.testing.assert_allclose(by_weight.predict(X), plain.predict(X), rtol=1e-5)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(Xy):
    regressor = FlowRegressor(flow="made", **QUICK).fit(*Xy)
    before = regressor.predict(Xy[0][:5])
    with pytest.raises(TableError):
        regressor.fit(Xy[0], np.ones(len(Xy[1])))
    assert np.array_equal(regressor.predict(Xy[0][:5]), before)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda r, X, y: FlowRegressor().fit(X, None), TableError, ["FlowRegressor requires y"]),
        (lambda r, X, y: FlowRegressor().fit(X, y[:5]), TableError, ["400", "(5,)"]),
        (lambda r, X, y: FlowRegressor().fit(X, np.where(y == y[3], np.nan, y)), TableError, ["row 3", "nan"]),
        (lambda r, X, y: FlowRegressor().fit(X, ["a"] * 400), TableError, ["numbers", "<U1"]),
        (lambda r, X, y: FlowRegressor().fit(X, np.array(["a"] * 400, object)), TableError, ["row 0", "'a'"]),
        (lambda r, X, y: FlowRegressor().fit(X, y[:, None, None]), TableError, ["(400, targets)", "(400, 1, 1)"]),
        (lambda r, X, y: FlowRegressor().fit(X, y, sample_weight=-y), WeightError, ["row 0"]),
        (lambda r, X, y: FlowRegressor("spline").fit(X, y), ArgumentError, ["made_mog", "'spline'"]),
        (lambda r, X, y: FlowRegressor(targets=["real"]).fit(X, y), ArgumentError, ["mapping", "['real']"]),
        (lambda r, X, y: FlowRegressor().predict(X), NotFittedError, ["FlowRegressor", "fit"]),
        (lambda r, X, y: r.predict(X[:, :1]), TableError, ["1 features", "2"]),
        (lambda r, X, y: r.predict_quantiles(X, 1.0), ArgumentError, ["q must", "1.0"]),
        (lambda r, X, y: r.predict_quantiles(X, []), ArgumentError, ["q must", "[]"]),
        (lambda r, X, y: r.predict_quantiles(X, "half"), ArgumentError, ["q must", "'half'"]),
        (lambda r, X, y: r.predict_interval(X, 90), ArgumentError, ["coverage", "90"]),
        (lambda r, X, y: r.log_prob(X, np.column_stack([y, y])), TableError, ["1 targets", "2"]),
        (lambda r, X, y: r.sample(X, 0), ArgumentError, ["0"]),
    ],
)
def test_mistakes_are_named(fitted, Xy, call, error, words):
    with pytest.raises(error) as caught:
        call(fitted, *Xy)
    assert isinstance(caught.value, DensiflowError)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
