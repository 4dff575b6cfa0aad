"""Bases against scipy, also in float32 and at the ends of their parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from densiflow.bases import MultivariateNormal, Normal, StudentT, Uniform
from densiflow.errors import ArgumentError, ShapeError

KEY = jax.random.key(7)
Z = np.random.default_rng(0).normal(size=(40, 3)) * 4


def test_normal_is_scipys():
    base = Normal(3, mean=[1.0, 0.0, -2.0], scale=[0.5, 1.0, 3.0])
    oracle = stats.norm([1.0, 0.0, -2.0], [0.5, 1.0, 3.0]).logpdf(Z).sum(axis=1)
    np.testing.assert_allclose(jax.vmap(base.log_prob)(jnp.asarray(Z)), oracle, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nu", [3.0, 4.5, 30.0, 900.0])
def test_student_t_is_scipys(nu, dtype):
    with jax.enable_x64(True):
        density = jax.vmap(StudentT(3, nu, dtype=dtype).log_prob)(jnp.asarray(Z, dtype))
    oracle = stats.t(nu, scale=np.sqrt((nu - 2) / nu)).logpdf(Z).sum(axis=1)
    np.testing.assert_allclose(density, oracle, rtol=1e-5 if dtype == "float32" else 1e-9)


def test_student_t_samples_are_scipys():
    drawn = np.asarray(jax.vmap(StudentT(1, 4.0).sample)(jax.random.split(jax.random.key(1), 20_000)))[:, 0]
    assert stats.kstest(drawn, stats.t(4.0, scale=np.sqrt(0.5)).cdf).pvalue > 1e-3
    assert stats.kstest(drawn, stats.norm.cdf).pvalue < 1e-6  # a sampler of normals would be noticed


@pytest.mark.parametrize("tails", [-1e30, -100.0, 100.0, 1e30])
def test_any_number_makes_a_student_t(tails):
    base = eqx.tree_at(lambda base: base.tails, StudentT(2), jnp.full(2, tails))
    value, gradient = jax.value_and_grad(lambda base: base.log_prob(jnp.array([0.5, -30.0])))(base)
    assert np.isfinite(value)
    assert np.isfinite(gradient.tails).all()
    assert np.isfinite(base.sample(jax.random.key(0))).all()


@pytest.mark.parametrize("nu", [2.0, 1e6, float("nan")])
def test_degrees_of_freedom_are_checked(nu):
    with pytest.raises(ArgumentError, match="from 3 to 900"):
        StudentT(1, nu)


LOWER, UPPER = [-1e-3, 5.0, -4e3], [3e-3, 5.5, 1e3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_is_scipys(dtype):
    rows = np.random.default_rng(1).uniform(LOWER, UPPER, (40, 3))
    rows[::4, 1] += 0.5  # rows that lie outside in one number
    oracle = stats.uniform(LOWER, np.subtract(UPPER, LOWER)).logpdf(rows).sum(axis=1)
    with jax.enable_x64(True):
        density = jax.vmap(Uniform(LOWER, UPPER, dtype=dtype).log_prob)(jnp.asarray(rows, dtype))
    assert density.dtype == dtype
    assert np.isneginf(density).sum() == 10
    np.testing.assert_allclose(density, oracle, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_uniform_samples_are_scipys():
    drawn = np.asarray(jax.vmap(Uniform(LOWER, UPPER).sample)(jax.random.split(jax.random.key(1), 20_000)))
    for column, lower, upper in zip(drawn.T, LOWER, UPPER, strict=True):
        assert stats.kstest(column, stats.uniform(lower, upper - lower).cdf).pvalue > 1e-3
        assert stats.kstest(column, stats.uniform(lower, 1.1 * (upper - lower)).cdf).pvalue < 1e-6


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0 + 2**-22), (-1.0 - 2**-22, -1.0), (0.0, 4e-38), (-4e-38, 0.0)])
def test_uniform_samples_lie_strictly_inside_in_float32(lower, upper):
    base = Uniform([lower], [upper], dtype="float32")
    drawn = jax.vmap(base.sample)(jax.random.split(jax.random.key(0), 2000))
    assert base.support.contains(drawn)
    assert not base.support.outside(drawn).any()
    assert np.isfinite(jax.vmap(base.log_prob)(drawn)).all()


def test_uniform_counts_its_border_and_knows_no_nan_outside():
    base = Uniform([0.0, 0.0], [1.0, 4.0])
    rows = jnp.array([[0.0, 4.0], [1.0, 0.0], [-jnp.inf, 1.0], [0.5, jnp.inf], [0.5, 4.001]])
    value, gradient = jax.vmap(jax.value_and_grad(base.log_prob))(rows)
    np.testing.assert_allclose(value, [-np.log(4)] * 2 + [-np.inf] * 3, rtol=1e-6)
    assert np.all(gradient == 0)
    assert np.isnan(base.log_prob(jnp.array([0.5, jnp.nan])))


@pytest.mark.parametrize(
    ("lower", "upper"),
    [([0.0], [0.0]), ([1.0], [0.0]), ([0.0], [np.inf]), ([np.nan], [1.0]), ([1e8], [1e8 + 1]), ([-3e38], [3e38])],
)
def test_boxes_without_numbers_between_are_refused(lower, upper):
    with pytest.raises(ArgumentError, match="finite with float32 numbers between"):
        Uniform(lower, upper, dtype="float32")


def test_shapes_of_boxes_and_covariances_are_checked():
    with pytest.raises(ShapeError, match=r"\(dim,\)"):
        Uniform([0.0, 0.0], [1.0])
    with pytest.raises(ShapeError, match=r"\(dim,\)"):
        Uniform(0.0, 1.0)
    with pytest.raises(ShapeError, match=r"\(dim, dim\)"):
        MultivariateNormal([0.0, 0.0], [1.0, 1.0])


def covariance(dim, scales):
    factor = np.random.default_rng(dim).normal(size=(dim, dim))
    return (factor @ factor.T + 0.1 * np.eye(dim)) * np.outer(scales, scales)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scales", [np.ones(1), np.ones(5), np.array([1e-6, 1.0, 1e5])], ids=["1", "5", "far apart"])
def test_multivariate_normal_is_scipys(scales, dtype):
    dim = len(scales)
    mean, sigma = np.arange(dim) * scales, covariance(dim, scales)
    rows = mean + np.random.default_rng(2).normal(size=(40, dim)) * scales * 3
    oracle = stats.multivariate_normal(mean, sigma, allow_singular=True).logpdf(rows)
    if dim == 3:  # scipy's own threshold would call one direction flat
        unit = stats.multivariate_normal(mean / scales, sigma / np.outer(scales, scales))
        oracle = unit.logpdf(rows / scales) - np.log(scales).sum()
    with jax.enable_x64(True):
        density = jax.vmap(MultivariateNormal(mean, sigma, dtype=dtype).log_prob)(jnp.asarray(rows, dtype))
    assert density.dtype == dtype
    np.testing.assert_allclose(density, oracle, rtol=2e-4 if dtype == "float32" else 1e-10)


def test_multivariate_normal_samples_have_its_mean_and_covariance():
    sigma = covariance(3, np.array([0.1, 1.0, 20.0]))
    drawn = np.asarray(jax.vmap(MultivariateNormal([1.0, 2.0, 3.0], sigma).sample)(jax.random.split(KEY, 40_000)))
    whitened = np.linalg.solve(np.linalg.cholesky(sigma), (drawn - [1.0, 2.0, 3.0]).T)
    for column in whitened:
        assert stats.kstest(column, stats.norm.cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.03)


@pytest.mark.parametrize(
    ("sigma", "match"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[1.0, 0.0], [0.0, 0.0]], "positive variances"),
        ([[1.0, np.nan], [np.nan, 1.0]], "finite"),
        ([[1.0, 2.0], [2.0, 1.0]], "eigenvalue -1"),
        ([[1e-8, 1.0], [1.0, 1e8]], "eigenvalue"),
    ],
)
def test_covariances_are_checked(sigma, match):
    with pytest.raises(ArgumentError, match=match):
        MultivariateNormal([0.0, 0.0], sigma)
