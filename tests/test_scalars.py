"""Scalar maps against scipy and against formulas written out once more, number by number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from densiflow.errors import ArgumentError
from densiflow.scalars import Affine, MixtureCDF, RationalQuadraticSpline, Shift
from densiflow.scalars.mixture_cdf import BOUND

RNG = np.random.default_rng(0)


def mixture(theta, components):
    """The weights, means and scales, as the docstring has them."""
    logits, mean, a = np.split(theta, 3)
    return special.softmax(logits), mean, np.exp(BOUND * np.tanh(a / BOUND))


@pytest.mark.parametrize("components", [1, 2, 7])
def test_on_a_normal_base_the_density_is_the_mixtures(components):
    theta = RNG.normal(size=3 * components)
    w, mean, s = mixture(theta, components)
    x = np.linspace(-6, 6, 41)
    with jax.enable_x64(True):
        z, log_slope = MixtureCDF(components).to_base(
            jnp.asarray(x), jnp.broadcast_to(jnp.asarray(theta), (41, len(theta)))
        )
    z, log_slope = np.asarray(z), np.asarray(log_slope)
    density = np.log(stats.norm(mean, s).pdf(x[:, None]) @ w)
    np.testing.assert_allclose(stats.norm.logpdf(z) + log_slope, density, rtol=1e-11)
    np.testing.assert_allclose(stats.norm.cdf(z), stats.norm(mean, s).cdf(x[:, None]) @ w, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mixtures_keep_their_digits_where_their_cdf_is_zero_or_one(dtype):
    theta = RNG.normal(size=9)
    w, mean, s = mixture(theta.astype(dtype).astype(float), 3)
    x = np.array([-1e4, -300.0, -40.0, 40.0, 300.0, 1e4])
    with jax.enable_x64(True):
        repeated = jnp.broadcast_to(jnp.asarray(theta, dtype), (6, 9))
        z, log_slope = MixtureCDF(3).to_base(jnp.asarray(x, dtype), repeated)
        back, back_log_slope = MixtureCDF(3).to_data(z, repeated)
    z, log_slope = np.asarray(z), np.asarray(log_slope)
    u = (x[:, None] - mean) / s
    log_tail = special.logsumexp(np.log(w) + special.log_ndtr(-np.abs(u)), axis=1)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(z, np.sign(x) * -special.ndtri_exp(log_tail), rtol=tolerance)
    np.testing.assert_allclose(back, x, rtol=tolerance)
    np.testing.assert_allclose(back_log_slope, -log_slope, atol=10 * tolerance)
    # far out the widest component is alone
    np.testing.assert_allclose(log_slope[[0, -1]], -np.log(s.max()), atol=0.01)


def test_equal_components_are_the_identity_and_training_starts_with_unequal_ones():
    z, log_slope = MixtureCDF(4).to_base(jnp.linspace(-9.0, 9.0, 19), jnp.zeros((19, 12)))
    np.testing.assert_allclose(z, np.linspace(-9, 9, 19), atol=1e-5)
    np.testing.assert_allclose(log_slope, 0, atol=1e-5)
    start = MixtureCDF(4).training_start()
    assert len(np.unique(start[4:8])) == 4
    assert Affine().training_start() is None


def spline(theta, bins, bound, x):
    """Eq. 4 of neural spline flows for one number, with a loop over the bins."""
    least = 1e-3
    width = 2 * bound * (least + (1 - least * bins) * special.softmax(theta[:bins]))
    height = 2 * bound * (least + (1 - least * bins) * special.softmax(theta[bins : 2 * bins]))
    bounded = 50 * np.tanh(theta[2 * bins :] / 50) + np.log(np.expm1(1 - least))
    slope = np.concatenate([[1.0], least + np.log1p(np.exp(bounded)), [1.0]])
    left, bottom = -bound, -bound
    for k in range(bins):
        if left <= x < left + width[k]:
            s, xi = height[k] / width[k], (x - left) / width[k]
            denominator = s + (slope[k + 1] + slope[k] - 2 * s) * xi * (1 - xi)
            return bottom + height[k] * (s * xi**2 + slope[k] * xi * (1 - xi)) / denominator
        left, bottom = left + width[k], bottom + height[k]
    return x


@pytest.mark.parametrize(("bins", "bound"), [(2, 3.0), (8, 3.0), (5, 0.5), (20, 3.0)])
def test_the_spline_is_its_formula(bins, bound):
    theta = 2 * RNG.normal(size=3 * bins - 1)
    x = np.linspace(-1.3 * bound, 1.3 * bound, 101)
    with jax.enable_x64(True):
        repeated = jnp.broadcast_to(jnp.asarray(theta), (101, len(theta)))
        z, _ = RationalQuadraticSpline(bins, bound).to_base(jnp.asarray(x), repeated)
        back, _ = RationalQuadraticSpline(bins, bound).to_data(z, repeated)
    np.testing.assert_allclose(z, [spline(theta, bins, bound, at) for at in x], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back, x, rtol=1e-11, atol=1e-11)
    assert np.all(np.diff(z) > 0)


@pytest.mark.parametrize(("size", "tolerance"), [(1.0, 1e-4), (3.0, 2e-3), (1e4, 3.0)])
def test_splines_go_there_and_back_in_float32(size, tolerance):
    """The steeper and the flatter the pieces, the fewer digits come back; none leaves the box or is NaN."""
    theta = jnp.asarray(size * RNG.normal(size=(2000, 23)), jnp.float32)
    z = jnp.asarray(RNG.uniform(-3.5, 3.5, 2000), jnp.float32)
    x, _ = RationalQuadraticSpline().to_data(z, theta)
    again, log_slope = RationalQuadraticSpline().to_base(x, theta)
    assert np.array_equal(np.abs(x) < 3, np.abs(z) < 3)
    assert np.max(np.abs(again - z)) < tolerance
    assert np.isfinite(log_slope).all()


def test_the_spline_and_its_slope_are_continuous_where_the_box_ends():
    map_, theta = RationalQuadraticSpline(), jnp.asarray(RNG.normal(size=23))
    near = jnp.array([-3 - 1e-5, -3 + 1e-5, 3 - 1e-5, 3 + 1e-5])
    z, log_slope = map_.to_base(near, jnp.broadcast_to(theta, (4, 23)))
    np.testing.assert_allclose(z, near, atol=1e-4)
    np.testing.assert_allclose(log_slope, 0, atol=1e-3)


def test_a_shift_shifts():
    x, log_slope = Shift().to_data(jnp.array([1.0, 2.0]), jnp.array([[3.0], [-4.0]]))
    assert x.tolist() == [4.0, -2.0]
    assert log_slope.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixtureCDF(0), "components must be a whole number of at least 1, got 0"),
        (lambda: RationalQuadraticSpline(1), "bins must be a whole number of at least 2, got 1"),
        (lambda: RationalQuadraticSpline(501), "bins must be at most 500, got 501"),
        (lambda: RationalQuadraticSpline(8, bound=0.0), "bound must be positive and finite, got 0.0"),
    ],
)
def test_odd_arguments_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
