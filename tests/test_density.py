"""`FlowDensity`: a table in, a density out, in the units and the container of the table."""

import copy
import pickle

import jax
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from densiflow import Flow, FlowDensity, bases, bijections, load, recipes
from densiflow.errors import (
    ArgumentError,
    ContextError,
    DensiflowError,
    ModelFileError,
    ShapeError,
    TableError,
    WeightError,
)
from densiflow.estimators.fitted import NotFittedError

QUICK = {"layers": 2, "hidden": (8,), "max_epochs": 4, "random_state": 0, "verbose": False}


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(50.0, 10.0, n)
    return np.column_stack([a, 0.1 * a + rng.normal(size=n), rng.gamma(2.0, 3.0, n)])


@pytest.fixture(scope="module")
def X():
    return rows()


@pytest.fixture(scope="module")
def fitted(X):
    return FlowDensity(**QUICK).fit(X)


@pytest.fixture(scope="module")
def conditional(X):
    return FlowDensity(**QUICK).fit(X[:, :2], context=X[:, 2:])


def containers(X):
    names = ["a", "b", "c"]
    return {
        "numpy": X,
        "pandas": pd.DataFrame(X, columns=names).astype({"c": "float32"}),
        "polars": pl.DataFrame({name: X[:, j] for j, name in enumerate(names)}).with_columns(
            pl.col("a").cast(pl.Int64)
        ),
        "arrow": pa.table({name: X[:, j] for j, name in enumerate(names)}),
    }


@pytest.mark.parametrize("name", ["numpy", "pandas", "polars", "arrow"])
def test_tables_of_any_container_go_in_and_come_out(X, name, tmp_path):
    table = containers(X)[name]
    est = FlowDensity(**QUICK).fit(table)
    scores = est.score_samples(table)
    assert scores.dtype == np.float64
    assert scores.shape == (len(X),)
    samples = est.sample(7, random_state=1)
    assert type(samples) is type(table)
    if name == "pandas":
        assert samples.dtypes.equals(table.dtypes)
    elif name in ("polars", "arrow"):
        assert samples.schema == table.schema
    est.save(tmp_path / "model.densiflow")
    again = load(tmp_path / "model.densiflow")
    assert isinstance(again, FlowDensity)
    assert np.array_equal(again.score_samples(table), scores)
    assert type(again.sample(3, random_state=1)) is type(table)
    assert again.get_params() == est.get_params()
    assert again.history_ == est.history_


def test_the_density_sums_to_one_in_the_units_of_the_table():
    x = np.random.default_rng(0).normal(1000.0, 200.0, (500, 1))
    est = FlowDensity(**QUICK).fit(x)
    grid = np.linspace(-3000, 5000, 40_001)
    assert np.trapezoid(np.exp(est.score_samples(grid[:, None])), grid) == pytest.approx(1.0, abs=2e-3)


def test_the_score_is_base_plus_log_det_plus_log_volume(X):
    fitted = FlowDensity("maf", **QUICK).fit(X)
    x, log_volume = fitted.encoder_.encode(X)
    z, log_det = fitted.flow_.to_base(x)
    by_hand = -0.5 * np.sum(np.asarray(z) ** 2, axis=1) - 1.5 * np.log(2 * np.pi) + np.asarray(log_det) + log_volume
    np.testing.assert_allclose(fitted.score_samples(X), by_hand, rtol=1e-5, atol=1e-5)
    assert fitted.score(X) == pytest.approx(fitted.score_samples(X).mean())
    weight = np.arange(len(X))
    assert fitted.score(X, sample_weight=weight) == pytest.approx(np.average(fitted.score_samples(X), weights=weight))


def test_transform_and_back(fitted, X):
    z = fitted.transform(X)
    assert z.dtype == np.float64
    assert z.shape == X.shape
    np.testing.assert_allclose(fitted.inverse_transform(z), X, rtol=1e-3, atol=1e-2)
    named = clone(fitted).set_output(transform="pandas").fit(pd.DataFrame(X, columns=list("abc")))
    assert list(named.transform(pd.DataFrame(X, columns=list("abc"))).columns) == ["z0", "z1", "z2"]


def test_multiplying_columns_adds_the_logs():
    """Units, the whole way: columns times 10^0 .. 10^7, refitted, change the held-out mean by the sum of the logs."""
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(8, 8))
    data = np.tanh(rng.normal(size=(3000, 8)) @ mixing / 2) + 0.3 * rng.normal(size=(3000, 8))
    factors = 10.0 ** np.arange(8)
    options = {"layers": 3, "hidden": (32,), "max_epochs": 25, "random_state": 0, "verbose": False}
    plain = FlowDensity(**options).fit(data[:2000])
    scaled = FlowDensity(**options).fit(data[:2000] * factors)
    gap = plain.score(data[2000:]) - scaled.score(data[2000:] * factors)
    assert gap == pytest.approx(np.log(factors).sum(), abs=0.05)
    # and the model's own samples score as held-out rows do, to sampling error and what is not yet learned
    own, held = plain.score_samples(plain.sample(20_000, random_state=1)), plain.score_samples(data[2000:])
    error = np.hypot(own.std() / np.sqrt(len(own)), held.std() / np.sqrt(len(held)))
    assert abs(own.mean() - held.mean()) < 4 * error + 0.05


def test_samples_depend_on_the_seed_and_their_place_alone(fitted):
    first = fitted.sample(5000, random_state=3)
    assert np.array_equal(fitted.sample(20, random_state=3), first[:20])
    assert not np.array_equal(fitted.sample(20, random_state=4), first[:20])
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))
    for make in (np.random.RandomState, np.random.default_rng):
        assert np.array_equal(fitted.sample(5, random_state=make(1)), fitted.sample(5, random_state=make(1)))


def test_samples_of_several_contexts_come_one_context_after_another(conditional, X):
    contexts = X[:3, 2:]
    drawn = conditional.sample(4, context=contexts, random_state=0)
    assert drawn.shape == (12, 2)
    assert np.array_equal(conditional.sample(4, context=contexts[:1], random_state=0), drawn[:4])


def test_a_conditional_density_sees_its_context(conditional, X):
    here = conditional.score_samples(X[:, :2], context=X[:, 2:])
    there = conditional.score_samples(X[:, :2], context=X[::-1, 2:])
    assert not np.allclose(here, there)
    one = conditional.score_samples(X[:5, :2], context=X[:1, 2:])
    np.testing.assert_allclose(one, conditional.score_samples(X[:5, :2], context=np.repeat(X[:1, 2:], 5, axis=0)))
    z = conditional.transform(X[:, :2], context=X[:, 2:])
    np.testing.assert_allclose(conditional.inverse_transform(z, context=X[:, 2:]), X[:, :2], rtol=1e-3, atol=1e-2)


def test_statistics_come_from_training_rows_alone():
    x = rows(400)
    est = FlowDensity(**QUICK).fit(x)
    shifts = {column.scale.shift for column in est.encoder_.columns}
    whole = FlowDensity(**{**QUICK, "validation": 0}).fit(x)
    assert shifts.isdisjoint(column.scale.shift for column in whole.encoder_.columns)
    np.testing.assert_allclose([column.scale.shift for column in whole.encoder_.columns], x.mean(axis=0))


def test_the_history_is_in_the_units_of_the_table(X):
    est = FlowDensity(**{**QUICK, "validation": 0, "max_epochs": 40}).fit(X * 1e6)
    assert est.history_.train[-1] == pytest.approx(est.score(X * 1e6), abs=0.1)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(X):
    est = FlowDensity(**QUICK).fit(X)
    before = est.score_samples(X)
    with pytest.raises(TableError):
        est.fit(X[:, :2] * [1, 0])
    with pytest.raises(ArgumentError):
        est.set_params(learning_rate=-1.0).fit(X[:, :2])
    assert np.array_equal(est.score_samples(X), before)


def test_weights_of_zero_leave_rows_out(X):
    spoiled = np.concatenate([X, np.full((50, 3), 1e6)])
    weight = np.concatenate([np.ones(len(X)), np.zeros(50)])
    by_weight = FlowDensity(**QUICK).fit(spoiled, sample_weight=weight)
    assert by_weight.score(X) == pytest.approx(FlowDensity(**QUICK).fit(X).score(X), abs=1e-6)


def test_float64_without_any_setting_of_jax(X, tmp_path):
    est = FlowDensity(dtype="float64", **QUICK).fit(X)
    assert est.flow_.dtype == np.float64
    np.testing.assert_allclose(est.inverse_transform(est.transform(X)), X, rtol=1e-9)
    est.save(tmp_path / "wide.densiflow")
    assert np.array_equal(load(tmp_path / "wide.densiflow").score_samples(X), est.score_samples(X))
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_keep_every_bit(X, dtype, ensemble):
    est = FlowDensity(dtype=dtype, ensemble=ensemble, **QUICK).fit(X)
    for again in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        assert again.flow_.dtype == est.flow_.dtype == np.dtype(dtype)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(again.flow_))
        assert np.array_equal(again.score_samples(X), est.score_samples(X))
        assert again.get_params() == est.get_params()
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(est.flow_))


def test_a_float64_flow_to_start_from_stays_float64(X, tmp_path):
    with jax.enable_x64(True):
        flow = recipes.made(jax.random.key(0), dim=3, hidden=(8,), dtype="float64")
    est = clone(FlowDensity(flow, max_epochs=2, random_state=0)).fit(X)
    assert est.flow_.dtype == est.flow.dtype == np.float64
    again = pickle.loads(pickle.dumps(est))
    assert again.flow.dtype == np.float64
    assert np.array_equal(again.fit(X).score_samples(X), est.score_samples(X))
    est.save(tmp_path / "model")
    assert load(tmp_path / "model").fit(X).flow_.dtype == np.float64
    assert clone(est).set_params(dtype="float32").fit(X).flow_.dtype == np.float32


def test_arguments_come_back_from_a_file(X, tmp_path):
    for dtype, columns in ((np.float64, {0: "real"}), (np.dtype("float32"), None)):
        est = FlowDensity(dtype=dtype, columns=columns, **QUICK).fit(X)
        est.save(tmp_path / "model")
        again = load(tmp_path / "model")
        assert again.dtype == np.dtype(dtype).name
        assert again.columns == columns
        assert np.array_equal(again.fit(X).score_samples(X), est.score_samples(X))


def test_a_state_whose_parts_do_not_fit_is_refused(fitted, conditional):
    state = fitted._to_state()
    for flow, words in ((conditional.flow_, "2 columns and 1 context"), (3, "of type int")):
        with pytest.raises(ModelFileError, match=words):
            FlowDensity._from_state({**state, "flow": flow})


def test_extreme_weights_count_as_any(X):
    plain = FlowDensity(**QUICK).fit(X, sample_weight=np.ones(len(X)))
    for unit in (1e308, 1e-310):
        weight = np.full(len(X), unit)
        assert FlowDensity(**QUICK).fit(X, sample_weight=weight).score(X, sample_weight=weight) == pytest.approx(
            plain.score(X), rel=1e-6
        )


def test_far_rows_have_a_finite_density_and_few_rows_can_be_fitted(fitted):
    assert np.isfinite(fitted.score_samples([[1e12, -1e12, 1e300]])).all()
    tiny = FlowDensity(**QUICK).fit(rows(4))
    assert len(tiny.history_.train) == 4
    assert tiny.history_.validation == []


def test_a_flow_composed_by_hand_can_be_fitted_and_saved(X, tmp_path):
    layer = bijections.Autoregressive(jax.random.key(0), 3, hidden=(6,))
    flow = Flow(bijections.Chain([layer, bijections.Permute([2, 0, 1])]), bases.Normal(3))
    est = FlowDensity(flow, max_epochs=2, random_state=0).fit(X)
    est.save(tmp_path / "hand.densiflow")
    assert np.array_equal(load(tmp_path / "hand.densiflow").score_samples(X), est.score_samples(X))
    with pytest.raises(ShapeError, match="2 columns"):
        FlowDensity(recipes.made(jax.random.key(0), dim=2)).fit(X)


def test_the_same_fit_gives_the_same_bytes(X, tmp_path):
    for name in "ab":
        FlowDensity(**QUICK).fit(X).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_conventions_of_scikit_learn(X):
    est = FlowDensity(**QUICK)
    assert clone(est).get_params() == est.get_params()
    named = est.fit(pd.DataFrame(X, columns=list("abc")))
    assert named is est
    assert list(est.feature_names_in_) == ["a", "b", "c"]
    assert est.n_features_in_ == 3
    pipeline = make_pipeline(StandardScaler(), FlowDensity(**QUICK)).fit(X)
    assert np.isfinite(pipeline.score(X))
    with pytest.raises(NotFittedError, match="fit") as caught:
        FlowDensity().score_samples(X)
    assert isinstance(caught.value, DensiflowError)


COLUMNS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda X: FlowDensity().fit(X[:0]), TableError, ["0 sample"]),
        (lambda X: FlowDensity().fit(X[:1]), TableError, ["1 sample"]),
        (lambda X: FlowDensity().fit(X[:, 0]), TableError, ["(300, 1)"]),
        (lambda X: FlowDensity("maf").fit(pd.DataFrame({"t": ["x", "y"]})), TableError, ["'t'", "text"]),
        (lambda X: FlowDensity("maf").fit(np.where(X[5, 1] == X, np.nan, X)), TableError, ["row 5", "column 1"]),
        (lambda X: FlowDensity().fit(np.where(X[7, 2] == X, np.inf, X)), TableError, ["row 7", "column 2", "inf"]),
        (lambda X: FlowDensity().fit(X * [1, 0, 1]), TableError, ["column 1", "constant", "0.0"]),
        (lambda X: FlowDensity().fit(pd.DataFrame(X, columns=["a", "b", "a"])), TableError, ["'a'"]),
        (lambda X: FlowDensity().fit(X, sample_weight=-np.ones(300)), WeightError, ["row 0", "-1.0"]),
        (lambda X: FlowDensity().fit(X, sample_weight=np.ones(3)), WeightError, ["(300,)", "(3,)"]),
        (lambda X: FlowDensity().fit(X, context=X[:5]), ContextError, ["300", "5"]),
        (lambda X: FlowDensity("spline").fit(X), ArgumentError, ["maf", "'spline'"]),
        (
            lambda X: FlowDensity(columns={"a": "amount"}).fit(pd.DataFrame(X, columns=COLUMNS)),
            ArgumentError,
            ["'amount'"],
        ),
        (lambda X: FlowDensity(random_state="x").fit(X), ArgumentError, ["random_state"]),
        (lambda X: FlowDensity(random_state=True).fit(X), ArgumentError, ["random_state", "True"]),
        (lambda X: FlowDensity(validation=None).fit(X), ArgumentError, ["validation", "None"]),
        (lambda X: FlowDensity(validation="a").fit(X[:5]), ArgumentError, ["validation", "'a'"]),
        (lambda X: FlowDensity(hidden=5).fit(X), ArgumentError, ["hidden", "5"]),
        (lambda X: FlowDensity(columns=["real"]).fit(X), ArgumentError, ["mapping", "['real']"]),
        (lambda X: FlowDensity(columns={0: ["real"]}).fit(X), ArgumentError, ["column 0", "['real']"]),
        (lambda X: FlowDensity(dtype="flt").fit(X), ArgumentError, ["dtype", "float64", "'flt'"]),
        (lambda X: FlowDensity(dtype=int).fit(X), ArgumentError, ["dtype", "int64"]),
        (lambda X: FlowDensity(max_epochs=2.0).fit(X), ArgumentError, ["max_epochs", "2.0"]),
        (lambda X: FlowDensity().fit(X, sample_weight=["a"] * 300), WeightError, ["sample_weight", "'a'"]),
        (lambda X: FlowDensity(max_epochs=None, patience=None).fit(X), ArgumentError, ["never end"]),
    ],
)
def test_mistakes_in_fitting_are_named(X, call, error, words):
    with pytest.raises(error) as caught:
        call(X)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda e, c, X: e.score_samples(X[:, :2]), TableError, ["2 features", "3"]),
        (lambda e, c, X: e.transform(np.full((2, 3), np.nan)), TableError, ["row 0", "NaN"]),
        (lambda e, c, X: e.pit(np.full((2, 3), np.nan)), TableError, ["row 0", "NaN"]),
        (lambda e, c, X: e.score_samples(X, context=X), ContextError, ["without a context"]),
        (lambda e, c, X: c.score_samples(X[:, :2]), ContextError, ["needs a context", "none was given"]),
        (lambda e, c, X: c.score_samples(X[:, :2], context=X), ContextError, ["3 features", "1"]),
        (lambda e, c, X: c.score_samples(X[:, :2], context=X[:7, 2:]), ContextError, ["300", "7"]),
        (lambda e, c, X: c.sample(3), ContextError, ["needs a context"]),
        (lambda e, c, X: e.sample(0), ArgumentError, ["n_samples", "0"]),
        (lambda e, c, X: e.inverse_transform(X[:, :2]), ShapeError, ["3 columns", "2"]),
        (lambda e, c, X: e.save("/nowhere/at/all"), OSError, ["/nowhere/at", "does not exist"]),
    ],
)
def test_mistakes_in_using_are_named(fitted, conditional, X, call, error, words):
    with pytest.raises(error) as caught:
        call(fitted, conditional, X)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_missing_and_extra_columns_are_named(X):
    est = FlowDensity(**QUICK).fit(pd.DataFrame(X, columns=COLUMNS))
    with pytest.raises(TableError, match="'b'"):
        est.score_samples(pd.DataFrame(X[:, [0, 2]], columns=["a", "c"]))
    with pytest.raises(TableError, match="'d'"):
        est.score_samples(pd.DataFrame(np.column_stack([X, X[:, 0]]), columns=[*COLUMNS, "d"]))


@pytest.mark.parametrize("name", ["made", "neural_spline", "real_nvp"])
def test_any_recipe_may_be_named(X, name, tmp_path):
    density = FlowDensity(flow=name, **QUICK).fit(X)
    assert isinstance(density.flow_.base, bases.Normal)
    density.save(tmp_path / "model.densiflow")
    assert np.array_equal(load(tmp_path / "model.densiflow").score_samples(X), density.score_samples(X))
    with pytest.raises(
        ArgumentError, match=r"flow must be auto, mixed, a recipe \(coupling_spline, iaf, .*\) or a Flow, got 'x'"
    ):
        FlowDensity(flow="x", **QUICK).fit(X)


def test_what_was_chosen_is_told(capsys):
    X = np.random.default_rng(0).normal(size=(60, 2))
    density = FlowDensity(layers=1, hidden=(8,), max_epochs=1, random_state=0, verbose=True).fit(X)
    assert f"fitting 54 rows of 2 columns: {density.choices_}\n" in capsys.readouterr().err
    assert str(density.choices_).startswith("maf, 1 layer of 8 tanh, Student-t base")
    FlowDensity(layers=1, hidden=(8,), max_epochs=1, random_state=0, verbose=False).fit(X)
    assert capsys.readouterr().err == ""
