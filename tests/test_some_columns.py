"""Some columns of a flow of real numbers, alone or given others, against closed forms."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, multivariate_normal, t

from densiflow import Flow, FlowDensity, bases, bijections, recipes
from densiflow.ensemble import Ensemble
from densiflow.errors import ArgumentError, ContextError, DensiflowWarning, TableError
from densiflow.estimators import companion, conditioning

TINY = {"flow": "made", "hidden": (4,), "max_epochs": 1, "random_state": 0, "verbose": False}
NAMES = ["a", "b", "c"]
MIXING = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.5, 0.7]])
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal([5.0, 0.0, -2.0], [3.0, 1.0, 0.1], (300, 3)), columns=NAMES)


@pytest.fixture(scope="module", autouse=True)
def small_companions():
    """Companions that learn less: what they give is right all the same, with larger errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(companion, "ROWS", 4_000)
        patch.setattr(companion, "EPOCHS", 5)
        yield


def holding(flow, table=X, **options):
    """A fitted density whose flow is another one, on the columns as encoded."""
    density = FlowDensity(**TINY).fit(table, **options)
    density.flow_ = flow
    return density


def linear(mixing, base=None, shift=0.0):
    """x = mixing z + shift."""
    dim = len(mixing)
    move = bijections.Elementwise(np.full(dim, shift), np.ones(dim))
    chain = bijections.Chain([move, bijections.Linear(mixing)])
    return Flow(chain, bases.Normal(dim) if base is None else base)


def oracle(density, mixing, shift=0.0):
    """Log densities of columns (by place) of that flow on a normal base, in the units of the table."""
    covariance = mixing @ mixing.T

    def log_prob(table, places):
        x, volumes = density.encoder_.encode_columns(table[NAMES].to_numpy())
        normal = multivariate_normal(np.full(len(places), shift), covariance[np.ix_(places, places)])
        return normal.logpdf(x[:, places]) + volumes[:, places].sum(axis=1)

    return log_prob


@pytest.fixture(scope="module")
def normal():
    """A multivariate normal, and what is true of it."""
    density = holding(linear(MIXING))
    return density, oracle(density, MIXING), density.sample(40, random_state=0)


@pytest.mark.parametrize("names", [["a"], ["c"], ["b", "c"], ["c", "a"]])
def test_marginals_are_those_of_the_flow(normal, names):
    density, exact, rows = normal
    nats, error = density.marginal(names).score_samples(rows[names], return_std=True)
    assert (np.abs(nats - exact(rows, [NAMES.index(name) for name in names])) < 4 * error + 1e-4).all()
    assert (error > 0).all()
    assert error.mean() < 0.1


def test_the_marginal_of_all_columns_is_exact(normal):
    density, _, rows = normal
    nats, error = density.marginal(NAMES).score_samples(rows, return_std=True)
    assert np.array_equal(nats, density.score_samples(rows))
    assert (error == 0).all()


def test_errors_shrink_with_draws_and_are_honest(normal):
    density, exact, rows = normal
    marginal, truth = density.marginal(["b"]), exact(rows, [1])
    mean_errors = []
    for draws in (16, 256):
        nats, error = marginal.score_samples(rows[["b"]], draws=draws, return_std=True)
        assert 0.3 < np.sqrt(np.mean(((nats - truth) / error) ** 2)) < 2.0
        mean_errors.append(error.mean())
    assert 3.0 < mean_errors[0] / mean_errors[1] < 5.5  # the root of 16


def test_column_scores_are_conditionals_and_add_up(normal):
    density, exact, rows = normal
    scores, error = density.column_scores(rows, return_std=True)
    np.testing.assert_allclose(scores.sum(axis=1), density.score_samples(rows), atol=1e-9)
    upto = np.stack([exact(rows, list(range(j + 1))) for j in range(3)], axis=1)
    true = np.diff(upto, axis=1, prepend=0.0)
    assert (np.abs(scores - true) < 4 * error + 1e-4).all()
    assert np.array_equal(scores, density.column_scores(rows))


def test_a_missing_cell_is_integrated_out_of_a_marginal(normal):
    density, exact, rows = normal
    lacking = rows[["a", "c"]].copy()
    lacking.loc[0, "a"] = np.nan
    nats, error = density.marginal(["a", "c"]).score_samples(lacking, return_std=True)
    assert abs(nats[0] - exact(rows[:1], [2])[0]) < 4 * error[0]
    assert (np.abs(nats - exact(rows, [0, 2]))[1:] < 4 * error[1:] + 1e-4).all()


@pytest.fixture(scope="module")
def lacking(normal):
    """Rows of which one in three lacks a cell, one two, and one none."""
    rows = normal[2].copy()
    rows.iloc[0::3, 1] = np.nan
    rows.iloc[1::3, [0, 2]] = np.nan
    return rows


def test_rows_that_lack_cells_have_the_density_of_the_others(normal, lacking):
    density, exact, rows = normal
    nats = density.score_samples(lacking)
    estimated, error = density.marginal(NAMES).score_samples(lacking, return_std=True)
    assert np.array_equal(nats, estimated)
    for start, places in ((0, [0, 2]), (1, [1])):
        part = slice(start, None, 3)
        assert (np.abs(nats - exact(rows, places))[part] < 4 * error[part] + 1e-4).all()
        assert (error[part] > 0).all()
    whole = slice(2, None, 3)
    assert np.array_equal(nats[whole], density.score_samples(rows)[whole])
    assert (error[whole] == 0).all()
    assert density.score(lacking) == nats.mean()


def test_a_row_that_lacks_cells_scores_the_same_in_any_table(normal, lacking):
    density = normal[0]
    nats = density.score_samples(lacking)
    np.testing.assert_allclose(density.score_samples(lacking[::-1]), nats[::-1], rtol=1e-5)
    np.testing.assert_allclose([density.score(lacking[i : i + 1]) for i in range(4)], nats[:4], rtol=1e-5)


def test_a_row_of_nothing_is_certain(normal):
    nothing = np.full((2, 3), np.nan)
    assert normal[0].score_samples(nothing).tolist() == [0.0, 0.0]


def test_parts_of_rows_that_lack_cells_add_up(normal, lacking):
    density, exact, rows = normal
    scores, error = density.column_scores(lacking, return_std=True)
    missing = lacking.isna().to_numpy()
    assert (scores[missing] == 0).all()
    assert (error[missing] == 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), density.score_samples(lacking), atol=1e-9)
    true = exact(rows, [0, 2]) - exact(rows, [0])
    assert (np.abs(scores[:, 2] - true) < 4 * error[:, 2] + 1e-4)[0::3].all()


def test_whole_rows_need_no_companion(monkeypatch):
    monkeypatch.setattr(companion, "_trained", None)
    assert np.isfinite(holding(linear(MIXING)).score_samples(X[:5])).all()


def test_a_member_drawn_by_its_share_makes_levels_uniform():
    """Of an ensemble whose members say very different things, and of rows that it drew."""
    density = holding(Ensemble.of([linear(MIXING, shift=shift) for shift in (-2.0, 0.0, 3.0)]))
    levels = density.pit(density.sample(2000, random_state=1), random_state=0)
    assert min(kstest(column, "uniform").pvalue for column in levels.T) > 1e-3
    assert np.abs(np.corrcoef(levels.T) - np.eye(3)).max() < 0.07
    off = density.pit(holding(linear(MIXING, shift=1.0)).sample(2000, random_state=1), random_state=0)
    assert min(kstest(column, "uniform").pvalue for column in off.T) < 1e-6


def test_members_that_agree_have_the_levels_of_one():
    one = holding(linear(MIXING))
    several = holding(Ensemble.of([linear(MIXING)] * 3))
    np.testing.assert_allclose(several.pit(X[:50]), one.pit(X[:50]), atol=1e-6)


def given_b(density, exact, rows, b):
    """The mean and deviation of column c given b."""
    covariance = MIXING @ MIXING.T
    slope = covariance[2, 1] / covariance[1, 1]
    x = density.encoder_.encode(np.array([[0.0, b, 0.0]]))[0]
    return slope * x[0, 1], np.sqrt(covariance[2, 2] - slope * covariance[2, 1])


def test_conditionals_score_and_draw_what_the_flow_says(normal):
    density, exact, rows = normal
    conditional = density.conditional({"b": 0.7})
    here = rows.assign(b=0.7)
    nats, error = conditional.score_samples(here[["a", "c"]], return_std=True)
    assert (np.abs(nats - exact(here, [0, 1, 2]) + exact(here, [1])) < 4 * error + 1e-4).all()
    drawn = conditional.sample(250, draws=64, random_state=0)
    assert (drawn["b"] == 0.7).all()
    assert drawn.dtypes.equals(X.dtypes)
    mean, deviation = given_b(density, exact, rows, 0.7)
    c = density.encoder_.encode(drawn.to_numpy())[0][:, 2]
    assert kstest((c - mean) / deviation, "norm").pvalue > 1e-3


def test_missing_cells_are_drawn_given_the_rest(normal):
    density, exact, _ = normal
    lacking = pd.DataFrame({"a": np.nan, "b": np.full(250, -0.9), "c": np.nan}, columns=NAMES)
    lacking.loc[0, "a"] = 4.0
    filled = density.impute(lacking, draws=64, random_state=1)
    assert not filled.isna().any().any()
    assert filled.loc[0, "a"] == 4.0
    assert (filled["b"] == -0.9).all()
    mean, deviation = given_b(density, exact, filled, -0.9)
    c = density.encoder_.encode(filled.to_numpy()[1:])[0][:, 2]
    assert kstest((c - mean) / deviation, "norm").pvalue > 1e-3
    assert filled.equals(density.impute(lacking, draws=64, random_state=1))


def test_samples_of_a_marginal_are_the_columns_of_samples(normal):
    density, _, _ = normal
    drawn = density.marginal(["c", "a"]).sample(5, random_state=3)
    assert drawn.equals(density.sample(5, random_state=3)[["c", "a"]])


def test_heavy_tails_are_weighed_right():
    """Independent columns of four degrees of freedom, far out as well."""
    density = holding(Flow(bijections.Elementwise(np.zeros(3), np.ones(3)), bases.StudentT(3, 4.0)))
    rows = pd.DataFrame(np.linspace([-12, -3, -3], [12, 3, 2], 30), columns=NAMES)
    x, volumes = density.encoder_.encode_columns(rows.to_numpy())
    scale = np.sqrt(0.5)
    exact = (t.logpdf(x / scale, 4.0) - np.log(scale))[:, 0] + volumes[:, 0]
    nats, error = density.marginal(["a"]).score_samples(rows[["a"]], return_std=True)
    assert (np.abs(nats - exact) < 4 * error).all()
    assert error.max() < 0.3


def test_members_of_an_ensemble_are_mixed_and_their_spread_is_told():
    flows = [linear(MIXING, shift=shift) for shift in (-0.5, 0.0, 0.5)]
    density = holding(Ensemble.of(flows))
    rows = density.sample(30, random_state=0)
    each = np.exp([oracle(density, MIXING, shift)(rows, [1]) for shift in (-0.5, 0.0, 0.5)])
    nats, error = density.marginal(["b"]).score_samples(rows[["b"]], draws=1024, return_std=True)
    np.testing.assert_allclose(nats, np.log(each.mean(axis=0)), atol=0.15)
    spread = each.std(axis=0, ddof=1) / each.mean(axis=0)
    np.testing.assert_allclose(error, spread, rtol=0.2, atol=0.05)
    whole, error = density.marginal(NAMES).score_samples(rows, return_std=True)
    np.testing.assert_allclose(whole, density.score_samples(rows), atol=1e-4)
    assert (error > 0).all()  # of the model alone: there are no draws


def test_members_may_have_rows_of_their_own():
    """Members that start alike and see all rows at once differ by their rows alone."""
    options = {**TINY, "flow": recipes.made(jax.random.key(0), 3, hidden=(4,)), "ensemble": 3, "batch_size": 300}
    apart = []
    for bootstrap in (False, True):
        density = FlowDensity(**options, bootstrap=bootstrap, validation=0).fit(X)
        means = [member.scaling.value.to_base(np.zeros(3))[0] for member in density.flow_.unstacked()]
        apart.append(np.ptp(np.asarray(means), axis=0))
        assert np.isfinite(density.score(X[:20]))
    assert (apart[0] == 0).all()
    assert (apart[1] > 0).all()
    with pytest.raises(ArgumentError, match="ensemble is 1"):
        FlowDensity(**TINY, bootstrap=True).fit(X)


def test_a_context_is_seen():
    """A flow of random weights, its second column integrated out on a grid."""
    context = pd.DataFrame({"g": RNG.normal(10.0, 2.0, 300)})
    flow = recipes.maf(jax.random.key(2), 2, 1, layers=2, hidden=(8,), start="random")
    density = holding(flow, X[["a", "b"]], context=context)
    rows, given = X[["a", "b"]][:20], context[:20]
    grid = np.linspace(-8.0, 8.0, 401)
    x, volumes = density.encoder_.encode_columns(rows.to_numpy())
    seen = np.repeat(density._encoded_context(given), len(grid), axis=0)
    whole = np.column_stack([np.repeat(x[:, 0], len(grid)), np.tile(grid, len(x))])
    dense = np.exp(np.asarray(flow.log_prob(whole, seen), np.float64)).reshape(len(x), -1)
    exact = np.log(np.trapezoid(dense, grid)) + volumes[:, 0]
    nats, error = density.marginal(["a"]).score_samples(rows[["a"]], context=given, return_std=True)
    assert (np.abs(nats - exact) < 4 * error + 1e-3).all()
    assert error.mean() < 0.2
    scores = density.column_scores(rows, context=given)
    np.testing.assert_allclose(scores.sum(axis=1), density.score_samples(rows, context=given), atol=1e-9)
    conditional = density.conditional({"a": 5.0})
    drawn = conditional.sample(3, context=given[:2], random_state=0)
    assert len(drawn) == 6
    nats = conditional.score_samples(rows[["b"]], context=given)
    here = rows.assign(a=5.0)
    marginal = density.marginal(["a"]).score_samples(here[["a"]], context=given)
    np.testing.assert_allclose(nats + marginal, density.score_samples(here, context=given), atol=1e-9)
    with pytest.raises(ContextError, match="needs a context"):
        density.marginal(["a"]).score_samples(rows[["a"]])


def test_few_draws_that_count_are_told():
    weights = np.zeros((3, 256))
    weights[1, 7] = 20.0
    with pytest.warns(DensiflowWarning, match="in 1 of 3 rows"):
        conditioning._warn_of_few(weights)


def test_a_companion_is_a_function_of_its_flow(normal):
    density, _, rows = normal
    before = density.marginal(["a"]).score_samples(rows[["a"]])
    density.flow_ = jax.tree.map(lambda leaf: leaf, density.flow_)  # another object, the same flow
    assert np.array_equal(density.marginal(["a"]).score_samples(rows[["a"]]), before)


def test_mistakes_are_named(normal):
    density, _, rows = normal
    with pytest.raises(ArgumentError, match="no column 'x'"):
        density.marginal(["x"])
    with pytest.raises(ArgumentError, match="every column of the model is given"):
        density.conditional({"a": 1.0, "b": 0.0, "c": 2.0})
    with pytest.raises(ArgumentError, match="draws"):
        density.marginal(["a"]).score_samples(rows[["a"]], draws=1)
    with pytest.raises(ContextError, match="without a context"):
        density.marginal(["a"]).score_samples(rows[["a"]], context=rows[["b"]])


def test_columns_left_out_need_not_be_there():
    table = X.assign(name=[f"row {i:03d}" for i in range(300)])[["a", "name", "b", "c"]]
    with pytest.warns(DensiflowWarning, match="left out"):
        density = FlowDensity(**{**TINY, "flow": "auto"}, columns="auto").fit(table)
    drawn = density.sample(5, random_state=0)
    assert list(drawn.columns) == NAMES
    assert np.isfinite(density.score_samples(drawn)).all()
    assert np.array_equal(density.score_samples(table), density.score_samples(table[NAMES]))
    with pytest.raises(TableError, match=r"lacks columns.*'b'"):
        density.score_samples(table.drop(columns="b"))
