"""The six densities of the gallery: they sum to one, and their samples follow them."""

import numpy as np
import pytest
from densities import DENSITIES, EIGHT_CENTRES, log_density_of_moon, sample_labelled_moons, smallest_share_of_eight

ROWS = 20_000
NAMES = list(DENSITIES)


def grid(cells=480, half=6.0):
    """Middles of the cells of a grid that holds all six but for less than 1e-6, and a cell's area."""
    edges = np.linspace(-half, half, cells + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return (
        edges,
        np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2),
        (edges[1] - edges[0]) ** 2,
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_sums_to_one_and_its_samples_follow_it(name):
    density = DENSITIES[name]
    edges, points, area = grid()
    mass = np.exp(density.log_density(points)) * area
    assert mass.sum() == pytest.approx(1, abs=1e-5)
    # cells of the grid gathered to 32 x 32, and to those that expect enough rows: chi squared
    expected = ROWS * mass.reshape(32, 15, 32, 15).sum(axis=(1, 3)).ravel()
    x = density.sample(np.random.default_rng(1), ROWS)
    counted = np.histogram2d(*x.T, bins=[edges[::15]] * 2)[0].ravel()
    many = expected > 5
    chi = ((counted - expected)[many] ** 2 / expected[many]).sum()
    assert abs(chi - many.sum()) < 5 * np.sqrt(2 * many.sum())
    rest = expected[~many].sum()
    assert abs(counted[~many].sum() - rest) < 5 * np.sqrt(rest + 1)


@pytest.mark.parametrize("name", NAMES)
def test_its_entropy_is_that_of_its_density(name):
    density = DENSITIES[name]
    entropy, error = density.entropy(rows=ROWS)
    _, points, area = grid()
    log_p = density.log_density(points)
    held = np.isfinite(log_p)
    expected = -(np.exp(log_p[held]) * log_p[held]).sum() * area
    assert error < 0.02
    assert abs(entropy - expected) < 4 * error + 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_its_limits_hold_it(name):
    density = DENSITIES[name]
    x = density.sample(np.random.default_rng(2), ROWS)
    assert x.shape == (ROWS, 2)
    low, high = np.array(density.limits).T
    assert np.mean(((x > low) & (x < high)).all(axis=1)) > 0.995


def test_a_moon_by_itself_is_half_of_both():
    x, which = sample_labelled_moons(np.random.default_rng(0), ROWS)
    scores = np.stack([log_density_of_moon(x, 0), log_density_of_moon(x, 1)])
    assert np.mean(scores.argmax(axis=0) == which) > 0.99


def test_a_mode_that_is_missed_has_no_share():
    rng = np.random.default_rng(0)
    x = DENSITIES["eight Gaussians"].sample(rng, ROWS)
    assert 0.9 < smallest_share_of_eight(x) <= 1
    far = np.linalg.norm(x - EIGHT_CENTRES[3], axis=1) > 1.5
    assert smallest_share_of_eight(x[far]) < 0.01
    assert smallest_share_of_eight(rng.normal(size=(ROWS, 2)) * 100) < 0.1
