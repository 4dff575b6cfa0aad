"""The checks of a report: each against a closed form, a slow and plain way, or a wrong that it must notice."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from densiflow import judge
from densiflow.errors import ArgumentError, ShapeError, TableError
from densiflow.judge.calibration import DRAWS
from densiflow.judge.columns import columns_of, paired, take
from densiflow.judge.simpler import Encoded, gaussians_fit, independent_fit
from densiflow.table import Encoder, frames


@pytest.fixture
def rng():
    return np.random.default_rng(0)


MIXED = {
    "number": [1.5, None, 3.0],
    "whole": [1, 2, None],
    "yes": [True, False, None],
    "word": ["b", "a", None],
    "day": [dt.date(2020, 1, 2), dt.date(1970, 1, 1), None],
    "moment": [dt.datetime(2020, 1, 2, 3, 4, 5), dt.datetime(1970, 1, 1), None],
    "clock": [dt.time(1, 2, 3), dt.time(0, 0), None],
}


@pytest.mark.parametrize("build", [pa.table, pd.DataFrame, pl.DataFrame], ids=["arrow", "pandas", "polars"])
def test_columns_of_every_container(build):
    found = {cells.name: cells for cells in columns_of(build(MIXED))}
    meanings = {name: cells.meaning for name, cells in found.items()}
    assert meanings == {
        "number": "number",
        "whole": "number",
        "yes": "label",
        "word": "label",
        "day": "date" if build is not pd.DataFrame else "label",  # pandas keeps dates as objects
        "moment": "date",
        "clock": "time",
    }
    assert {name: int(np.isnan(cells.values).sum()) for name, cells in found.items()} == {
        "number": 1, "whole": 1, "yes": 1, "word": 1, "day": 1, "moment": 1, "clock": 1,
    }  # fmt: skip
    shown = {name: [cells.shown(value) for value in cells.present] for name, cells in found.items()}
    assert shown["number"] == ["1.5", "3"]
    assert [word.lower() for word in shown["yes"]] == ["true", "false"]
    assert shown["word"] == ["b", "a"]
    assert shown["day"] == ["2020-01-02", "1970-01-01"]
    assert shown["moment"] == ["2020-01-02 03:04:05", "1970-01-01 00:00:00"]
    assert shown["clock"] == ["01:02:03", "00:00:00"]
    assert found["moment"].values[0] == dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC).timestamp() * 1e6


def test_categories_have_the_same_codes_on_both_sides():
    [(data, samples)] = paired(
        pd.DataFrame({"c": pd.Categorical(["x", "z", None])}), pd.DataFrame({"c": pd.Categorical(["y", "z"])})
    )
    assert data.labels == samples.labels == ("x", "y", "z")
    np.testing.assert_array_equal(data.values, [0, 2, np.nan])
    np.testing.assert_array_equal(samples.values, [1, 2])


def test_rows_are_taken_in_their_container():
    for build in (pa.table, pd.DataFrame, pl.DataFrame):
        table = build({"a": [1, 2, 3]})
        assert type(take(table, [2, 0])) is type(table)
        assert columns_of(take(table, [2, 0]))[0].values.tolist() == [3.0, 1.0]


def test_a_marginals_distance_is_scipys(rng):
    data, samples = rng.normal(size=(400, 1)), rng.normal(0.2, 1.3, size=(300, 1))
    [found] = judge.marginals(data, samples)
    assert found.distance == pytest.approx(stats.ks_2samp(data[:, 0], samples[:, 0]).statistic)


def test_a_marginal_counts_labels_and_missing_cells():
    data = pa.table({"c": ["a"] * 50 + ["b"] * 30 + [None] * 20})
    samples = pa.table({"c": ["a"] * 40 + ["b"] * 40 + [None] * 20})
    [found] = judge.marginals(data, samples)
    assert found.distance == pytest.approx(0.1)
    assert "missing 20.0% of the data and 20.0% of the samples" in str(found)
    [found] = judge.marginals(pa.table({"x": [1.0] * 100}), pa.table({"x": [1.0] * 60 + [None] * 40}))
    assert found.distance == pytest.approx(0.4)


def test_chance_is_exceeded_as_often_as_it_says(rng):
    shares = [0.5, 0.3, 0.15, 0.05]
    tables = [(rng.choice(4, 300, p=shares), rng.choice(4, 500, p=shares)) for _ in range(400)]
    words = np.array(["a", "b", "c", "d"])
    beyond = [
        found.distance > found.chance
        for a, b in tables
        for found in judge.marginals(pa.table({"c": words[a]}), pa.table({"c": words[b]}))
    ]
    assert 0.02 < np.mean(beyond) < 0.09


def test_calibration_bands_hold_a_right_line_95_times_in_100(rng):
    found = [judge.calibration(rng.uniform(size=(300, 10))) for _ in range(60)]
    outside = np.mean([[one.outside(j) for j in range(10)] for one in found])
    assert 0.03 < outside < 0.07
    p_values = np.concatenate([one.p_value for one in found])
    assert np.mean(p_values < 0.05) == pytest.approx(outside, abs=0.01)
    assert abs(np.mean(p_values < 0.5) - 0.5) < 0.07


def test_calibration_is_of_binomial_counts(rng):
    pit = rng.uniform(size=(50, 2))
    found = judge.calibration(pit, ["a", "b"])
    assert found.share[1, 9] == np.mean(pit[:, 1] <= found.grid[9])
    assert found.distance[0] == np.max(np.abs(found.share[0] - found.grid))
    counts = np.round(found.upper * 50)
    np.testing.assert_allclose(found.upper, counts / 50)
    inside = stats.binom.cdf(counts, 50, found.grid) - stats.binom.cdf(np.round(found.lower * 50) - 1, 50, found.grid)
    assert (inside > 0.95).all()  # at each point more than for the whole line


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda u: stats.norm.cdf(1.4 * stats.norm.ppf(u)), "too narrow"),
        (lambda u: stats.norm.cdf(0.6 * stats.norm.ppf(u)), "too wide"),
        (lambda u: stats.norm.cdf(stats.norm.ppf(u) - 0.5), "too high"),
        (lambda u: stats.norm.cdf(stats.norm.ppf(u) + 0.5), "too low"),
    ],
    ids=["narrow", "wide", "high", "low"],
)
def test_calibration_says_in_which_way_a_model_is_wrong(rng, wrong, words):
    found = judge.calibration(wrong(rng.uniform(size=(2000, 1))), ["x"])
    assert found.outside(0)
    assert found.p_value[0] <= 1 / DRAWS
    assert words in str(found)


def test_coverage_counts_a_row_once_in_its_error(rng):
    u = rng.uniform(size=(1000, 1))
    one, copies = judge.coverage(u), judge.coverage(np.repeat(u, 8, axis=1))
    np.testing.assert_allclose(copies.error, one.error)
    assert copies.pooled[3] == pytest.approx(np.mean(np.abs(2 * u - 1) <= 0.9))
    assert one.error[3] == pytest.approx(np.sqrt(one.pooled[3] * (1 - one.pooled[3]) / 1000))


def test_base_space_of_normal_numbers_and_of_others(rng):
    right = judge.base_space(rng.normal(size=(2000, 4)))
    assert right.distance.max() < 1.2 * right.chance
    assert abs(right.correlation) < right.correlation_chance
    assert right.radius_distance < right.chance
    z = rng.standard_t(4, size=(2000, 2)) * [1.0, 2.0]
    wrong = judge.base_space(np.stack([z[:, 0], z[:, 1], z[:, 0] + 0.1 * z[:, 1]], axis=1), ["a", "b", "c"])
    assert wrong.correlated == ("a", "c")
    assert wrong.worst == 1
    assert wrong.radius_distance > 3 * wrong.chance
    np.testing.assert_allclose(wrong.excess[0], stats.kurtosis(z[:, 0]))


def test_base_space_sees_dependence_without_correlation(rng):
    z = rng.normal(size=(3000, 1))
    found = judge.base_space(np.concatenate([z, np.abs(z) * rng.choice([-1.0, 1.0], size=z.shape)], axis=1))
    assert abs(found.correlation) < 0.1
    assert found.of_squares > 0.9


def test_two_sample_guesses_where_there_is_nothing_to_tell(rng):
    found = judge.two_sample(rng.normal(size=(500, 3)), rng.normal(size=(500, 3)))
    assert abs(found.accuracy - 0.5) < 3 * found.error
    assert found.telling() == []
    assert found.rows == 500


def test_two_sample_names_the_column_that_tells(rng):
    words = np.array(["left", "middle", "right"])
    data = pa.table({"x": rng.normal(size=600), "w": words[rng.choice(3, 600, p=[0.8, 0.1, 0.1])]})
    samples = pa.table({"x": rng.normal(size=600), "w": words[rng.choice(3, 600, p=[0.1, 0.1, 0.8])]})
    found = judge.two_sample(data, samples)
    assert found.telling() == ["w"]
    assert found.accuracy == pytest.approx(0.85, abs=0.04)  # half of 0.8 + 0.1, and of all in the middle
    missing = pa.table({"x": [None] * 300 + [1.0] * 300, "w": samples["w"]})
    assert judge.two_sample(samples, missing).names[0] == "x"


def test_correlations_are_scipys(rng):
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    found = judge.correlations(x, x[:200])
    assert found.data[2, 0] == pytest.approx(_pooled_spearman(x, x[:200], 300)[2, 0], abs=1e-12)
    assert found.data[2, 0] == pytest.approx(stats.spearmanr(x[:, 2], x[:, 0]).statistic, abs=0.01)
    np.testing.assert_allclose(found.difference, found.samples - found.data)


def _pooled_spearman(data, samples, rows):
    """Ranks over both tables, as two tables of one distribution would have."""
    ranks = stats.rankdata(np.concatenate([data, samples]), axis=0)
    return np.corrcoef(ranks[:rows].T)


def test_dependence_of_labels_is_cramers_and_the_correlation_ratio(rng):
    words = np.array(["a", "b", "c"])
    code = rng.integers(3, size=500)
    table = pa.table(
        {"w": words[code], "v": words[np.where(rng.uniform(size=500) < 0.6, code, 0)], "x": code + rng.normal(size=500)}
    )
    found = judge.correlations(table, table)
    counts = np.array([[np.sum((code == i) & (np.array(table["v"]) == w)) for w in words] for i in range(3)])
    assert found.data[1, 0] == pytest.approx(stats.contingency.association(counts, "cramer"))
    ranks = stats.rankdata(np.array(table["x"]))
    between = sum(np.sum(code == k) * (ranks[code == k].mean() - ranks.mean()) ** 2 for k in range(3))
    assert found.data[2, 0] == pytest.approx(np.sqrt(between / np.sum((ranks - ranks.mean()) ** 2)))
    assert found.largest == 0.0


def test_chance_of_correlations_covers_tables_drawn_alike(rng):
    cov = np.array([[1.0, 0.7, 0.0], [0.7, 1.0, 0.3], [0.0, 0.3, 1.0]])
    root = np.linalg.cholesky(cov)
    beyond = [
        found.largest > found.chance
        for found in (judge.correlations(*(rng.normal(size=(2, 200, 3)) @ root.T)) for _ in range(40))
    ]
    assert np.mean(beyond) <= 0.15
    broken = judge.correlations(rng.normal(size=(400, 3)) @ root.T, rng.normal(size=(400, 3)))
    assert broken.largest > broken.chance
    assert broken.pairs(1)[0][:2] == ("column 0", "column 1")


def test_nearest_rows_are_the_plain_ones(rng):
    data, samples = rng.normal(size=(60, 3)) * [1, 5, 0.1], rng.normal(size=(50, 3)) * [1, 5, 0.1]
    found = judge.nearest_rows(data, samples)
    scale = data.std(axis=0)
    away = np.sqrt((((samples[:, None] - data) / scale) ** 2).sum(axis=-1))
    np.testing.assert_allclose(found.samples, np.sort(away.min(axis=1)))
    own = np.sqrt((((data[:, None] - data) / scale) ** 2).sum(axis=-1)) + np.diag(np.full(60, np.inf))
    np.testing.assert_allclose(found.data, np.sort(own.min(axis=1)))


def test_rows_that_are_often_equal_are_no_copies(rng):
    counts = pa.table({"a": rng.integers(0, 6, 1000), "b": rng.integers(0, 6, 1000)})
    alike = judge.nearest_rows(counts.slice(0, 500), counts.slice(500))
    assert alike.copies > 0.9
    assert alike.copies_of_data > 0.9
    assert alike.close == 0.0
    assert alike.ratio == 1.0


def test_nearest_rows_of_labels_and_missing_cells():
    data = pa.table({"w": ["a", "b", "b"], "x": [0.0, 1.0, 2.0]})
    found = judge.nearest_rows(data, pa.table({"w": ["a", "c"], "x": [0.0, None]}))
    deviation = np.std([0.0, 1.0, 2.0])
    np.testing.assert_allclose(found.samples, [0.0, np.sqrt(1 + 1)])  # another label, and a gap against the mean
    np.testing.assert_allclose(found.data, [1 / deviation, 1 / deviation, np.sqrt(1 + 1 / deviation**2)])
    assert found.copies == 0.5


def test_copies_of_training_rows_are_found(rng):
    train, data = rng.normal(size=(300, 4)), rng.normal(size=(200, 4))
    copied = judge.nearest_rows(data, train[:200] + 1e-3 * rng.normal(size=(200, 4)), train)
    assert copied.ratio < 0.05
    assert copied.close > 0.9
    honest = judge.nearest_rows(data, rng.normal(size=(200, 4)), train)
    assert 0.8 < honest.ratio < 1.25
    assert honest.reference == "training rows"


def test_one_gaussian_of_encoded_columns_is_scipys(rng):
    x = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3))
    rows = Encoded._of_values(x, np.full(400, 0.5))
    density = gaussians_fit(rows, (1,), 0)(rows)
    expected = stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True) + 1e-6 * np.eye(3)).logpdf(x) + 0.5
    np.testing.assert_allclose(density, expected, rtol=1e-6)


def test_values_that_are_absent_are_left_out_of_a_gaussian(rng):
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    whole = Encoded._of_values(x, np.zeros(300))
    present = rng.uniform(size=(300, 3)) < 0.7
    holes = Encoded(whole.states, (), x, x, x, whole.is_cell, present, np.zeros(300))
    density = gaussians_fit(whole, (1,), 0)
    mean, covariance = x.mean(axis=0), np.cov(x.T, bias=True) + 1e-6 * np.eye(3)
    for row in range(20):
        there = present[row]
        expected = (
            stats.multivariate_normal(mean[there], covariance[np.ix_(there, there)]).logpdf(x[row, there])
            if there.any()
            else 0.0
        )
        assert density(holes)[row] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("fit", [independent_fit, lambda known: gaussians_fit(known, (1, 2), 0)])
def test_masses_of_all_cells_and_states_add_up_to_one(rng, fit):
    edges = np.array([-40.0, -1.0, -0.2, 0.4, 1.5, 40.0])
    middle = np.array([-1.5, -0.6, 0.1, 0.9, 2.0])
    n = 200
    first, second, state = rng.integers(5, size=n), rng.integers(5, size=n), rng.integers(3, size=(n, 1))

    def encoded(first, second, state):
        cells = np.stack([first, second], axis=1)
        there = np.stack([np.ones(len(first), bool), state[:, 0] == 0], axis=1)
        volume = np.zeros(len(first))
        return Encoded(
            state, (3,), middle[cells], edges[cells], edges[cells + 1], np.array([True, True]), there, volume
        )

    density = fit(encoded(first, second, state))
    a, b, s = (grid.ravel() for grid in np.meshgrid(range(5), range(5), range(3)))
    every = np.exp(density(encoded(a, b, s[:, None])))
    once = np.where(s == 0, 1.0, np.where(b == 0, 1.0, 0.0))  # where there is no second value it is counted once
    assert np.sum(every * once) == pytest.approx(1.0)


def test_simpler_densities_of_a_mixed_table_add_up_to_one(rng):
    """A word, a count and a number with gaps through the encoder that a model would have."""
    n = 400
    words, counts = np.array(["x", "y", "z"])[rng.integers(3, size=n)], rng.integers(4, size=n)
    numbers = np.where(rng.uniform(size=n) < 0.2, np.nan, np.round(rng.normal(size=n), 1))
    table = pd.DataFrame({"w": words, "k": counts, "v": numbers})
    schema, matrix = frames.read(table, mixed=True)
    encoder = Encoder.fit(schema, matrix, np.ones(n), {"w": "category", "k": "count"}, detect=True)
    known = Encoded.through(encoder, table)
    assert known.states.shape[1] >= 2
    every = pd.DataFrame(
        [(w, k, v) for w in "xyz" for k in range(4) for v in [np.nan, *np.round(np.arange(-60, 61) / 10, 1)]],
        columns=["w", "k", "v"],
    )
    for density in (independent_fit(known), gaussians_fit(known, (1, 2), 0)):
        assert np.isfinite(density(known)).all()
        steps = np.where(np.isnan(every["v"]) | bool(known.is_cell.any()), 1.0, 0.1)
        assert np.sum(np.exp(density(Encoded.through(encoder, every))) * steps) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: judge.two_sample(np.zeros((4, 1)), np.zeros((9, 1))), TableError, "at least 10 rows"),
        (lambda: judge.marginals(np.zeros((4, 1)), np.zeros((9, 2))), ShapeError, "same columns"),
        (lambda: judge.marginals(np.zeros(3), np.zeros(3)), TableError, "2-D array"),
        (lambda: judge.marginals(pa.table({"a": ["x"]}), pa.table({"a": [1]})), TableError, "'a'"),
        (lambda: judge.calibration(np.array([[1.5]])), ShapeError, r"lie in \[0, 1\]"),
        (lambda: judge.calibration(np.array([[0.5]]), ["a", "b"]), ShapeError, "one name a column"),
        (lambda: judge.base_space(np.zeros((2, 2))), ShapeError, "at least 3 rows"),
        (lambda: judge.nearest_rows(np.zeros((1, 1)), np.zeros((1, 1))), TableError, "at least 2 rows"),
        (lambda: judge.compared(None, np.zeros((2, 2)), "radar"), ArgumentError, "marginals, corner"),
    ],
)
def test_checks_name_what_they_can_not_use(call, error, words):
    with pytest.raises(error, match=words):
        call()
