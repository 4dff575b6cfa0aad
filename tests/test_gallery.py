"""The gallery: every script has its figures, every figure its script and its words; small parts of the scripts."""

import importlib.util
import re
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from densiflow import Flow, bases, recipes
from densiflow.bijections import Elementwise

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"
SCRIPTS = sorted(path.stem for path in GALLERY.glob("*.py"))
FIGURES = sorted(path.name for path in GALLERY.iterdir() if path.suffix in (".png", ".gif"))


def script(name):
    """A script of the gallery as a module, under a name that nothing else has."""
    spec = importlib.util.spec_from_file_location(f"gallery_{name}", GALLERY / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_imported_without_drawing(name):
    before = {path: path.stat().st_mtime_ns for path in GALLERY.iterdir() if path.is_file()}
    assert script(name).__doc__
    assert {path: path.stat().st_mtime_ns for path in GALLERY.iterdir() if path.is_file()} == before


def test_every_figure_is_shown_and_made_by_a_script_beside_it():
    page = (GALLERY / "README.md").read_text()
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert sorted(shown) == FIGURES
    linked = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)", page)
    assert [link for link in linked if not (GALLERY / link).exists()] == []
    drawing = [name for name in SCRIPTS if "save_figure(" in (GALLERY / f"{name}.py").read_text()]
    assert [name for name in drawing if f"{name}.py" not in linked] == []
    sources = "".join((GALLERY / f"{name}.py").read_text() for name in drawing)
    named = [name for name in FIGURES if f'"{name}"' in sources or (Path(name).stem in drawing)]
    assert named == FIGURES


def test_figures_are_modest():
    sizes = {path: path.stat().st_size for path in map(GALLERY.joinpath, FIGURES)}
    assert [path.name for path, size in sizes.items() if size > (2_000_000 if path.suffix == ".gif" else 350_000)] == []


def test_the_table_of_six_densities_is_below_the_truth_and_finds_every_mode():
    from densities import DENSITIES

    lines = (GALLERY / "six_densities.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert cells[0][1:-1] == list(DENSITIES)
    exact = [float(cell.split(" ")[0]) for cell in cells[1][1:-1]]
    rows = {row[0]: row[1:] for row in cells[2:]}
    names = {re.match(r"`(\w+)`", name)[1] for name in rows}
    assert names == set(recipes.RECIPES)
    for name, row in rows.items():
        nats = np.array([float(cell) for cell in row[:-1]])
        assert (nats < np.array(exact) + 0.05).all()  # held-out rows are another sample: a few standard errors
        universal = recipes.DECLARATIONS[re.match(r"`(\w+)`", name)[1]].universal
        assert universal != name.endswith("(not universal)")
        if universal:
            assert float(row[-1]) >= 0.5


def test_step_by_step_is_to_data():
    made = script("gaussian_autoregressive")
    flow = recipes.made(jax.random.key(0), dim=2, hidden=(16,), start="random").standardised(made.rows(100, seed=0))
    z = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(made.step_by_step(flow, z), flow.to_data(z)[0], rtol=1e-5, atol=1e-5)


def test_a_normal_is_a_parabola_and_two_modes_are_not():
    conditional = script("conditional")
    scale = Flow(Elementwise([0.5], [2.0]), bases.Normal(1))
    assert conditional.bend(lambda x, c: scale.log_prob(x)) < 1e-4
    assert conditional.bend(conditional.exact_log_density) > 0.5


def test_the_rows_of_a_conditional_case_follow_its_density():
    conditional = script("conditional")
    grid = np.linspace(-6, 6, 2001)[:, None]
    for value in (-2.0, 0.0, 2.0):
        density = np.exp(conditional.exact_log_density(grid, np.full_like(grid, value)))
        assert density.sum() * 12 / 2000 == pytest.approx(1, abs=1e-4)
    x, context = conditional.rows(50_000, seed=0)
    nats = conditional.exact_log_density(x, context)
    cells = np.linspace(-2, 2, 41)[:, None]
    entropy = []
    for value in cells:
        log_p = conditional.exact_log_density(grid, np.full_like(grid, value[0]))
        entropy.append(-(np.exp(log_p) * np.maximum(log_p, -1e3)).sum() * 12 / 2000)
    assert -nats.mean() == pytest.approx(np.trapezoid(entropy, cells[:, 0]) / 4, abs=0.02)


def test_digits_come_back_from_the_noise():
    digits = script("digits")
    levels = np.random.default_rng(0).integers(0, 17, (10, 64)).astype(float)
    np.testing.assert_array_equal(digits.levels_of(digits.spread(levels, seed=1)), levels)
    assert digits.levels_of(np.array([-3.0, 99.0])).tolist() == [0, 16]
    sheet = digits.sheet(levels, across=5, down=2)
    assert sheet.shape == (20, 50)
    np.testing.assert_array_equal(sheet[1:9, 11:19], levels[1].reshape(8, 8))


def test_ten_planar_layers_begin_with_the_first_of_them():
    planar = script("planar")
    z = np.array([[0.3, -0.2]])
    base = bases.Normal(2)
    np.testing.assert_allclose(planar.after(base, 0).to_data(z)[0], z, atol=1e-6)
    one = planar.after(base, 1).to_data(z)[0]
    ten = planar.layers(10)
    np.testing.assert_allclose(ten[-1].to_data_rows(jax.numpy.asarray(z))[0], one, atol=1e-6)
    np.testing.assert_allclose(ten[-2].to_data_rows(one)[0], planar.after(base, 2).to_data(z)[0], atol=1e-6)
