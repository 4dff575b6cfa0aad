"""Mixed rows: states, numbers that may be absent, cells; exact parts, and what follows from them."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy.stats import kstest, norm

from densiflow import FlowDensity, gaussian, load
from densiflow.bases import Mixed
from densiflow.estimators import columns, mixed_rows, parts
from densiflow.table import frames
from densiflow.table.encode import Encoder

CELLS = np.array([[-1.5, -40.0, -1.0], [-0.5, -1.0, -0.2], [0.0, -0.2, 0.3], [0.6, 0.3, 1.0], [1.4, 1.0, 40.0]])
CONTEXT = jnp.array([0.3, -1.0])
ROW = np.array([2.0, 0.0, 0.3, *CELLS[3], -0.4, 1.0])  # two states, a number that may be absent, a cell, both again
QUICK = {"layers": 1, "hidden": (32,), "max_epochs": 60, "random_state": 0, "verbose": False}


@pytest.fixture(scope="module")
def made():
    """A base of random weights: sizes 3, 2, a number there in state 0 of the second, a cell, a number, 4."""
    with jax.enable_x64(True):
        key = jax.random.key(0)
        base = Mixed(
            key, (3, 2, 0, 0, 0, 4), (-1, -1, 1, -1, -1, -1), 2, cells={3: CELLS}, components=3, width=16, blocks=1
        )
        moved = [
            leaf + 0.3 * jax.random.normal(jax.random.fold_in(key, i), leaf.shape)
            for i, leaf in enumerate(jax.tree.leaves(base.network))
        ]
        network = jax.tree.unflatten(jax.tree.structure(base.network), moved)
        return eqx.tree_at(lambda base: base.network, base, network)


@pytest.fixture
def base(made):
    """The same, in float64 while a test has it."""
    with jax.enable_x64(True):
        yield made


@pytest.mark.parametrize(("variable", "size"), [(0, 3), (1, 2), (5, 4)])
def test_a_state_sums_to_one(base, variable, size):
    rows = np.tile(ROW, (size, 1))
    rows[:, base.layout.place[variable]] = np.arange(size)
    nats = jax.vmap(lambda z: base.log_probs(z, CONTEXT))(jnp.asarray(rows))[:, variable]
    assert np.isclose(np.exp(nats).sum(), 1.0, atol=1e-12)


def test_cells_sum_to_one(base):
    rows = np.tile(ROW, (len(CELLS), 1))
    rows[:, 3:6] = CELLS
    nats = jax.vmap(lambda z: base.log_probs(z, CONTEXT))(jnp.asarray(rows))[:, 3]
    assert np.isclose(np.exp(nats).sum(), 1.0, atol=1e-12)


def test_a_cell_without_a_width_has_the_density_at_its_middle(base):
    narrow, wide = jnp.asarray(ROW).at[3:6].set(0.3), jnp.asarray(ROW).at[3:6].set(jnp.array([0.3, 0.3, 0.3 + 1e-7]))
    density, mass = (base.log_probs(row, CONTEXT) for row in (narrow, wide))
    assert np.isclose(density[3], mass[3] - np.log(1e-7), atol=1e-6)
    slope = jax.grad(lambda y: base.log_prob(narrow.at[3:6].set(y), CONTEXT))(0.3)
    assert np.isfinite(slope)


def test_draws_lie_between_the_outermost_edges_as_likely_as_the_masses_there(base):
    """A cell, and a stretch of narrow ones where a number stays where it was drawn; nothing is heaped at the ends."""
    cells = np.array([[-0.3, -1.0, 0.2], [0.2, 0.2, 0.9]])
    short = Mixed(jax.random.key(0), base.sizes, base.presence, 2, cells={3: cells}, components=3, width=16, blocks=1)
    short = eqx.tree_at(lambda base: base.network, short, base.network)
    none, known = jnp.full(6, -1), jnp.array([True, True, True, False, False, False])
    keys = jax.random.split(jax.random.key(5), 4000)
    drawn = jax.jit(jax.vmap(lambda key: short.draw(key, jnp.asarray(ROW), known, none, CONTEXT)[0][3:6]))(keys)
    is_cell = drawn[:, 0] == cells[0, 0]
    assert np.array_equal(drawn[is_cell], np.tile(cells[0], (int(is_cell.sum()), 1)))
    y = np.asarray(drawn[~is_cell])
    assert (y == y[:, :1]).all()
    assert y.min() > 0.2
    assert y.max() < 0.9
    ends = jnp.array([[-0.3, -1.0, 0.2], [0.5, 0.2, 0.9]])
    nats = [base.log_probs(jnp.asarray(ROW).at[3:6].set(end), CONTEXT)[3] for end in ends]
    share = np.exp(nats[0]) / np.exp(nats).sum()
    assert abs(is_cell.mean() - share) < 4 * np.sqrt(share * (1 - share) / 4000)
    middle = jnp.asarray(ROW).at[3:6].set(jnp.array([0.5, 0.2, 0.5]))
    below = np.exp(base.log_probs(middle, CONTEXT)[3] - nats[1])
    assert abs((y[:, 0] < 0.5).mean() - below) < 4 * np.sqrt(below * (1 - below) / len(y))


@pytest.mark.parametrize("variable", [2, 4])
def test_a_number_integrates_to_one(base, variable):
    grid = np.linspace(-1000, 1000, 400_001)
    rows = jnp.asarray(ROW)
    place = base.layout.place[variable]
    nats = jax.lax.map(lambda y: base.log_probs(rows.at[place].set(y), CONTEXT)[variable], grid, batch_size=4096)
    assert np.isclose(np.trapezoid(np.exp(nats), grid), 1.0, atol=1e-6)


def test_what_is_absent_is_read_by_nothing(base):
    row = jnp.asarray(ROW).at[1].set(1.0)
    one, other = (base.log_probs(row.at[2].set(y), CONTEXT) for y in (0.0, 5.0))
    assert np.array_equal(one, other)
    assert one[2] == 0.0
    assert not np.array_equal(base.log_probs(jnp.asarray(ROW).at[2].set(5.0), CONTEXT), one)


def test_impossible_levels_have_no_density(base):
    assert base.log_prob(jnp.asarray(ROW).at[5 + 2].set(4.0), CONTEXT) == -jnp.inf
    assert base.log_prob(jnp.asarray(ROW).at[0].set(-1.0), CONTEXT) == -jnp.inf


def test_samples_stand_uniformly_and_their_quantiles_lead_back(base):
    keys = jax.random.split(jax.random.key(7), 4000)
    rows = jax.jit(jax.vmap(lambda key: base.sample(key, CONTEXT)))(keys)
    lower, upper = map(np.array, jax.jit(jax.vmap(lambda z: base.tails(z, CONTEXT)))(rows))
    # a number that may be absent stands for its state as well
    for tail in (lower, upper):
        tail[:, 1] = np.where(rows[:, 1] == 0, tail[:, 2], tail[:, 1])
        tail[:, 2] = tail[:, 1]
    levels = columns.uniform(lower, upper, np.random.default_rng(0))
    assert min(kstest(levels[:, v], "uniform").pvalue for v in range(6)) > 1e-4
    normal = jnp.asarray(columns.middle_quantiles(lower, upper))
    back = jax.jit(jax.vmap(lambda z: base.quantile(z, CONTEXT)))(normal)
    assert np.abs(back - rows).max() < 1e-6


def test_the_mean_weight_of_draws_is_the_marginal(base):
    """Known are the cell and the last state; what stands between is summed and integrated on a grid."""
    known = jnp.array([False, False, False, True, False, True])
    none = jnp.full(6, -1)
    keys = jax.random.split(jax.random.key(3), 20_000)
    draw = jax.jit(jax.vmap(lambda key: base.draw(key, jnp.asarray(ROW), known, none, CONTEXT)[1]))
    weights = np.exp(draw(keys))
    step, grid = 0.1, np.arange(-25, 25, 0.1)
    total = 0.0
    for first, second in itertools.product(range(3), range(2)):
        inner = grid if second == 0 else np.zeros(1)
        y, x = np.meshgrid(inner, grid, indexing="ij")
        rows = np.tile(ROW, (y.size, 1))
        rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 6] = first, second, y.ravel(), x.ravel()
        nats = jax.lax.map(lambda z: base.log_prob(z, CONTEXT), jnp.asarray(rows), batch_size=4096)
        total += np.exp(nats).sum() * step ** (2 if second == 0 else 1)
    assert abs(weights.mean() - total) < 5 * weights.std() / np.sqrt(len(weights)) + 1e-3 * total


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (20.0, 20.001), (-300.0, -299.0), (5.0, 40.0), (0.1, 0.1001)])
def test_masses_of_cells_far_out(low, high):
    left, right = (-high, -low) if low + high > 0 else (low, high)
    inner = integrate.quad(lambda t: np.exp(right * t - t * t / 2), 0, min(right - left, 60), epsabs=0, epsrel=1e-12)[0]
    exact = -(right**2) / 2 - 0.5 * np.log(2 * np.pi) + np.log(inner)
    if right > 0:
        exact = np.log(norm.cdf(right) - norm.cdf(left))
    with jax.enable_x64(True):
        assert np.isclose(gaussian.log_mass(jnp.float64(low), jnp.float64(high)), exact, rtol=1e-9)
    assert np.isclose(gaussian.log_mass(jnp.float32(low), jnp.float32(high)), exact, rtol=1e-3)


def table(n=600, seed=0):
    """A category, a number that depends on it and is often missing, and a count."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 3, n)
    x = rng.normal(3.0 * level, 1.0)
    x[rng.random(n) < 0.2] = np.nan
    return pd.DataFrame(
        {"kind": pd.Categorical(np.array(["a", "b", "c"])[level]), "x": x, "count": rng.poisson(2 + level)}
    )


@pytest.fixture(scope="module")
def fitted():
    return FlowDensity(**QUICK).fit(table())


def test_a_mixed_table_goes_in_and_comes_out(fitted, tmp_path):
    data = table(200, seed=1)
    drawn = fitted.sample(300, random_state=0)
    assert drawn.dtypes.equals(data.dtypes)
    assert 0.05 < drawn["x"].isna().mean() < 0.5
    assert set(drawn["kind"]) <= {"a", "b", "c"}
    assert not fitted.sample(300, complete=True, random_state=0).isna().any().any()
    fitted.save(tmp_path / "model.densiflow")
    assert np.array_equal(load(tmp_path / "model.densiflow").score_samples(data), fitted.score_samples(data))


def test_parts_add_up_and_base_space_leads_back(fitted):
    data = table(200, seed=1)
    parts = fitted.column_scores(data)
    assert np.allclose(parts.sum(axis=1), fitted.score_samples(data), atol=1e-4)
    back = fitted.inverse_transform(fitted.transform(data))
    assert back["kind"].astype(str).tolist() == data["kind"].astype(str).tolist()
    assert back["count"].tolist() == data["count"].tolist()
    assert np.allclose(back["x"], data["x"], atol=1e-3, equal_nan=True)
    levels = fitted.pit(data, random_state=0)
    assert ((levels > 0) & (levels < 1)).all()


def test_cells_that_say_nothing_add_nothing(fitted):
    """Of a column that had none missing in fitting; where one had, a missing cell has a probability."""
    data = table(30, seed=1)
    data["count"] = np.where(np.arange(30) < 10, np.nan, data["count"])
    data.loc[20:, "kind"] = np.nan
    scores, error = fitted.column_scores(data, return_std=True)
    assert (scores[:10, 2] == 0).all()
    assert (scores[20:, 0] == 0).all()
    assert (scores[:, 1] != 0).all()
    assert (error[:20] == 0).all()  # the known cells are the first ones
    assert (error[20:, 1] > 0).all()
    assert np.allclose(scores.sum(axis=1), fitted.score_samples(data), atol=1e-4)


def test_marginals_of_the_first_columns_are_exact_and_of_others_estimated(fitted):
    data = table(40, seed=2)
    first = fitted.marginal(["kind"])
    nats, error = first.score_samples(data[["kind"]], return_std=True)
    assert (error == 0).all()
    assert np.allclose(nats, fitted.column_scores(data)[:, 0], atol=1e-5)
    # p(count) is the sum over the categories and the state of x, and the integral over x
    estimate, error = fitted.marginal(["count"]).score_samples(data[["count"]], draws=4000, return_std=True)
    drawn = fitted.sample(20_000, random_state=0)["count"]
    share = np.array([(drawn == count).mean() for count in data["count"]])
    allowed = 5 * np.sqrt(share * (1 - share) / len(drawn)) + 5 * error * np.exp(estimate) + 1e-4
    assert (np.abs(np.exp(estimate) - share) < allowed).all()


def test_cells_are_filled_and_values_given(fitted):
    data = table(100, seed=3)
    filled = fitted.impute(data, random_state=0)
    assert not filled.isna().any().any()
    present = data["x"].notna()
    assert np.array_equal(filled.loc[present, "x"], data.loc[present, "x"])
    drawn = fitted.conditional({"kind": "c"}).sample(50, random_state=0)
    assert set(drawn["kind"]) == {"c"}
    assert drawn["x"].mean() > 3


def test_a_count_that_only_held_out_rows_have_does_not_hide_the_rest():
    data = table(200)
    data.loc[:, "count"] = np.where(np.arange(200) % 2, 1, 2)
    data.loc[7, "count"] = 40
    for seed in range(4):  # some of which hold the row out
        density = FlowDensity(
            **{**QUICK, "max_epochs": 1, "random_state": seed, "validation": 0.5}, columns={"count": "category"}
        )
        assert np.isfinite(density.fit(data).history_.validation).all()


def test_before_training_a_level_has_its_share_of_the_rows():
    base = Mixed(jax.random.key(0), sizes=(3, 0), presence=(-1, -1), components=2, width=8)
    z, weight = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, -1.0]]), np.array([1.0, 1.0, 3.0])
    started = base.initialise(z, weight)
    chances = np.exp([started.log_probs(jnp.array([level, 0.5]))[0] for level in (0.0, 1.0, 2.0)])
    np.testing.assert_allclose(chances, [0.2, 0.0, 0.8], atol=2e-4)
    assert chances[1] > 0
    trained = eqx.tree_at(lambda base: base.network.biases[-1], base, jnp.arange(len(base.network.biases[-1]) * 1.0))
    assert trained.initialise(z, weight) is trained


def test_a_fit_of_one_epoch_knows_how_often_cells_are_missing():
    table = pd.DataFrame({"a": np.where(np.arange(400) % 20 < 1, np.nan, np.arange(400) / 7 % 3.3)})
    density = FlowDensity(hidden=(8,), max_epochs=1, random_state=0).fit(table)
    missing = density.sample(4000, random_state=1)["a"].isna().mean()
    assert 0.02 < missing < 0.08


def test_base_space_leads_back_where_there_is_little_density():
    table = np.round(np.random.default_rng(0).normal(3, 1, (500, 2)), 5)
    schema, matrix = frames.read(table)
    encoder = Encoder.fit(schema, matrix, np.ones(500), detect=True)
    assert {str(column.grid) for column in encoder.columns} == {"1e-05"}
    flow = mixed_rows.unfitted(jax.random.key(0), encoder, 0, components=4, width=16, blocks=1)
    # narrow normals, and next to nothing between them
    flow = jax.tree.map(lambda leaf: 20 * leaf if leaf.dtype == np.float32 and leaf.ndim > 1 else leaf, flow)
    assert np.array_equal(parts.to_cells(flow, encoder, parts.to_base(flow, encoder, matrix, None), None), matrix)
    x, _ = encoder.encode(matrix)
    narrow = columns.middle_quantiles(*columns.intervals(encoder, x, *mixed_rows.tails(flow, x, None)))
    assert not np.array_equal(parts.to_cells(flow, encoder, narrow, None), matrix)  # float32 alone does not
