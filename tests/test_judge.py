"""The shipped table, the baselines and the pictures."""

import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn import mixture

from densiflow import judge
from densiflow.data import load_sdss
from densiflow.errors import ArgumentError, OutputPathError, ShapeError, TableError, WeightError
from densiflow.judge.regions import density_levels, plot_limits
from densiflow.training import History

PNG = b"\x89PNG\r\n\x1a\n"
UNITS = np.array([4.0, 0.125, 1024.0])  # powers of two: changing units rounds nothing


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0], [0.0, 0.0, 0.3]])
    return x + np.array([1.0, -2.0, 0.5])


def test_the_shipped_table():
    table = load_sdss()
    assert table.column_names == ["u", "g", "r", "i", "z", "redshift", "class"]
    assert {str(table.schema.field(name).type) for name in table.column_names[:-1]} == {"double"}
    values, counts = np.unique(table["class"].to_pylist(), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {"GALAXY": 4998, "QSO": 850, "STAR": 4152}
    assert all(np.isfinite(table[name].to_numpy()).all() for name in table.column_names[:-1])
    assert table["u"][0].as_py() == 19.47406
    assert len((files("densiflow.data") / "sdss_dr14.parquet").read_bytes()) < 1_000_000


def test_gaussian_is_scipys(rows):
    score = judge.gaussian(rows).score_samples(rows[:20])
    expected = multivariate_normal(rows.mean(axis=0), np.cov(rows.T, bias=True)).logpdf(rows[:20])
    np.testing.assert_allclose(score, expected, rtol=1e-12)
    assert score.dtype == np.float64


def test_a_weight_of_two_is_a_row_given_twice(rows):
    weight = np.where(np.arange(len(rows)) < 100, 2.0, 1.0)
    weighted = judge.gaussian(rows, weight).score_samples(rows)
    twice = judge.gaussian(np.concatenate([rows, rows[:100]])).score_samples(rows)
    np.testing.assert_allclose(weighted, twice, rtol=1e-12)
    assert np.abs(weighted - judge.gaussian(rows).score_samples(rows)).max() > 1e-3


def test_mixture_is_scikit_learns_in_the_rows_own_units(rows):
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    reference = mixture.GaussianMixture(3, max_iter=500, random_state=0).fit((rows - mean) / deviation)
    expected = reference.score_samples((rows - mean) / deviation) - np.log(deviation).sum()
    density = judge.gaussian_mixture(rows, rows, components=(3,))
    assert density.components == 3
    np.testing.assert_allclose(density.score_samples(rows), expected, rtol=1e-12)


def test_mixture_of_one_is_the_gaussian(rows):
    density = judge.gaussian_mixture(rows, rows, components=(1,))
    np.testing.assert_allclose(density.score_samples(rows), judge.gaussian(rows).score_samples(rows), atol=1e-3)


def test_mixture_takes_as_many_components_as_validation_rows_want():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)) + rng.choice([-8.0, 0.0, 8.0], size=(600, 1))
    assert judge.gaussian_mixture(x[:400], x[400:], components=(1, 3, 40)).components == 3


@pytest.mark.parametrize(
    "fit", [judge.gaussian, lambda x: judge.gaussian_mixture(x, x, components=(4,))], ids=["gaussian", "mixture"]
)
def test_units_change_a_score_by_the_sum_of_their_logs(fit, rows):
    plain = fit(rows).score_samples(rows)
    np.testing.assert_allclose(fit(rows * UNITS).score_samples(rows * UNITS), plain - np.log(UNITS).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: judge.gaussian(x[:, 0]), ShapeError, r"\(rows, columns\).*got \(300,\)"),
        (lambda x: judge.gaussian(x).score_samples(x[:, :2]), ShapeError, r"\(rows, 3\).*got \(300, 2\)"),
        (lambda x: judge.gaussian(x, np.ones(3)), WeightError, "300 finite numbers"),
        (lambda x: judge.gaussian(x, -np.ones(300)), WeightError, "none negative"),
        (lambda x: judge.gaussian(x * [1, 0, 1]), TableError, "column 1 holds one value only"),
        (lambda x: judge.gaussian(x[:, [0, 0]]), TableError, "linear combinations"),
        (lambda x: judge.gaussian_mixture(x, x[:, :2]), ShapeError, r"\(rows, 3\)"),
        (lambda x: judge.gaussian_mixture(x, x, components=(400,)), ArgumentError, "from 1 to 300"),
    ],
)
def test_baselines_name_what_they_can_not_use(call, error, words, rows):
    with pytest.raises(error, match=words):
        call(rows)


def test_density_levels_hold_their_masses():
    grid = np.linspace(-6, 6, 4001)
    density = np.exp(-(grid**2) / 2)
    levels = density_levels(density, (0.9545, 0.6827))
    edges = [grid[density >= level].max() for level in levels]
    np.testing.assert_allclose(edges, [2.0, 1.0], atol=5e-3)


def test_density_levels_of_a_plateau_still_rise():
    levels = density_levels(np.ones((10, 10)), (0.9, 0.5, 0.1))
    assert (np.diff(levels) > 0).all()
    assert levels[-1] < 1 + 1e-12


def test_plot_limits_of_a_column_of_one_value():
    low, high = plot_limits(np.full(10, 5.0))
    assert low < 5.0 < high


def ring(x):
    return -0.5 * ((np.hypot(x[:, 0], x[:, 1]) - 1.4) / 0.1) ** 2


def corner(rows):
    return judge.corner(rows, rows[::2], ["a (cm)", "b (cm)", "c (kg)"])


def corner_of_one(rows):
    return judge.corner(rows[:, :1], rows[::2, :1], ["a (cm)"], labels=("table", "flow"))


def density(rows):
    return judge.density_contours(ring, ((-3, 3), (-3, 3)), ["a", "b"], resolution=60)


def density_and_rows(rows):
    return judge.density_contours(
        ring, ((-3, 3), (-3, 3)), ["a", "b"], data=rows[:, :2], samples=rows[:, 1:], title="ring", resolution=60
    )


def conditional(rows):
    grid = np.linspace(-3, 3, 101)
    densities = np.exp(-0.5 * ((grid - np.linspace(-1, 1, 5)[:, None]) / 0.3) ** 2)
    return judge.conditional_density(grid, densities, np.zeros(5), list("vwxyz"), "a (cm)")


def conditional_on_grids_of_their_own(rows):
    grid = np.linspace([-3.0, 0.0], [3.0, 1.0], 101, axis=1)
    return judge.conditional_density(grid, np.exp(-(grid**2)), [0.1, 0.2], ["first", "second"], "a (cm)")


def training(rows):
    return judge.training_curve(History([-9.0, -2.0, -1.5], [-8.0, -2.1, -2.2], best_epoch=1, stopped="patience"))


def training_without_held_out_rows(rows):
    return judge.training_curve(History([-2.0, -1.5], best_epoch=1, stopped="max_epochs reached"))


PICTURES = [
    corner,
    corner_of_one,
    density,
    density_and_rows,
    conditional,
    conditional_on_grids_of_their_own,
    training,
    training_without_held_out_rows,
]


@pytest.mark.parametrize("draw", PICTURES)
def test_a_picture_is_a_figure_written_whole(draw, rows, tmp_path):
    from matplotlib.figure import Figure

    figure = draw(rows)
    assert isinstance(figure, Figure)
    judge.save_figure(figure, tmp_path / "picture.png")
    written = (tmp_path / "picture.png").read_bytes()
    assert written.startswith(PNG)
    assert len(written) > 5000
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_one_picture_has_one_file(rows, tmp_path):
    for name in ("first.png", "second.png"):
        judge.save_figure(density_and_rows(rows), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_drawing_loads_no_pyplot_and_importing_no_matplotlib():
    code = """
import sys
from densiflow import judge
heavy = {"jax", "matplotlib", "scipy", "sklearn"} & set(sys.modules)
judge.density_contours(lambda x: -(x**2).sum(axis=1), ((-3, 3), (-3, 3)), ["a", "b"], resolution=20)
print(heavy, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "False"]


def test_true_values_outside_the_grid_are_still_seen():
    grid = np.linspace(0, 1, 11)
    figure = judge.conditional_density(grid, np.ones((3, 11)), [-5.0, 9.0, 0.5], list("abc"), "x")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert low <= -5.0 < 9.0 <= high


def test_a_corner_of_a_bad_fit_is_drawn(rows):
    assert len(judge.corner(rows, rows + 1e3, list("abc")).axes) == 6
    assert len(judge.corner(rows * [1, 0, 1], rows, list("abc")).axes) == 6


def test_a_density_is_drawn_into_part_of_a_figure():
    from matplotlib.figure import Figure

    part = Figure().subfigures(2)[0]
    assert judge.density_contours(ring, ((-3, 3), (-3, 3)), ["a", "b"], resolution=30, figure=part) is part
    assert len(part.axes) == 2


def test_an_unwritable_path_leaves_nothing(rows, tmp_path):
    with pytest.raises(OutputPathError, match="does not exist"):
        judge.save_figure(density(rows), tmp_path / "absent" / "picture.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: judge.corner(x, x[:, :2], list("abc")), ShapeError, r"samples must have shape \(rows, 3\)"),
        (
            lambda x: judge.corner(np.where(x > 1, np.nan, x), x, list("abc")),
            TableError,
            "data must be finite, but row",
        ),
        (lambda x: judge.density_contours(ring, ((-3, 3), (-3, 3)), list("abc")), ShapeError, "2 columns, got 3"),
        (
            lambda x: judge.density_contours(lambda x: np.full(len(x), -np.inf), ((0, 1), (0, 1)), list("ab")),
            ArgumentError,
            "zero on the whole grid",
        ),
        (lambda x: judge.conditional_density(x[:, 0], x, [0], ["a"], "x"), ShapeError, r"\(objects, grid points\)"),
        (lambda x: judge.conditional_density(x[0], x, [0], ["a"], "x"), ShapeError, "one truth and one label"),
        (lambda x: judge.training_curve(History()), ArgumentError, "no finished epoch"),
        (lambda x: judge.save_figure(density(x), "picture.pdf"), ArgumentError, r"ends in \.png"),
    ],
)
def test_pictures_name_what_they_can_not_use(call, error, words, rows):
    with pytest.raises(error, match=words):
        call(rows)
