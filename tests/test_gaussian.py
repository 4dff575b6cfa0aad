"""The normal distribution's tails against scipy, in both precisions, and far out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from densiflow import gaussian

U = np.concatenate([-np.geomspace(1e-3, 1e4, 60), [0.0], np.geomspace(1e-3, 30, 40)])


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float64", 1e-13)])
def test_log_cdf_and_hazard_are_scipys(dtype, rtol):
    with jax.enable_x64(True):
        log_cdf, log_hazard = gaussian.log_cdf_and_hazard(jnp.asarray(U, dtype))
    exact = U.astype(dtype).astype(np.float64)
    np.testing.assert_allclose(log_cdf, special.log_ndtr(exact), rtol=rtol, atol=np.finfo(dtype).tiny)
    hazard = np.where(
        exact < 0,
        0.5 * np.log(2 / np.pi) - np.log(special.erfcx(np.maximum(-exact, 0) / np.sqrt(2))),
        stats.norm.logpdf(exact) - stats.norm.logcdf(exact),
    )
    np.testing.assert_allclose(log_hazard, hazard, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float64", 1e-13)])
def test_the_quantile_is_scipys(dtype, rtol):
    log_p = np.concatenate([-np.geomspace(0.6932, 1e8, 80), [np.log(0.5)]])
    with jax.enable_x64(True):
        z = gaussian.quantile_of_log(jnp.asarray(log_p, dtype))
    given = log_p.astype(dtype).astype(float)
    np.testing.assert_allclose(special.log_ndtr(np.asarray(z, float)), given, rtol=rtol)
    np.testing.assert_allclose(z, special.ndtri_exp(given), rtol=max(rtol, 1e-12), atol=10 * rtol)  # scipy's own digits


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
def test_derivatives_are_the_closed_forms(derivative):
    with jax.enable_x64(True):
        u = jnp.array([-50.0, -3.0, -1e-9, 0.0, 2.0])
        slope = jax.vmap(derivative(gaussian.log_cdf))(u)
        np.testing.assert_allclose(slope, np.exp(stats.norm.logpdf(u) - stats.norm.logcdf(u)), rtol=1e-12)
        log_p = jnp.array([-2000.0, -3.0, -0.7])
        z = special.ndtri_exp(np.asarray(log_p))
        slope = jax.vmap(derivative(gaussian.quantile_of_log))(log_p)
        np.testing.assert_allclose(slope, np.exp(stats.norm.logcdf(z) - stats.norm.logpdf(z)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes_are_right_at_any_size(dtype):
    t = np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 3000)])
    with jax.enable_x64(True):
        slope = jax.vmap(jax.grad(gaussian.log_erfcx))(jnp.asarray(t, dtype))
    t = t.astype(dtype).astype(np.longdouble)
    u = 0.5 / np.maximum(t, 50) ** 2
    wanted = np.where(
        t < 50,
        2 * t - 2 / np.sqrt(np.pi) / special.erfcx(t.astype(float)),
        -2 * t * u * (1 - 2 * u + 10 * u**2 - 74 * u**3 + 706 * u**4),
    )
    np.testing.assert_allclose(slope, wanted.astype(float), rtol=3e-5 if dtype == "float32" else 3e-12)
