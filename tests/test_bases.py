"""Bases against scipy, also in float32 and at the ends of their parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from densiflow.bases import Normal, StudentT
from densiflow.errors import ArgumentError

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
