"""Mixtures as bases: scipy's densities, and samples that are smooth in every parameter, the weights included."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from densiflow.bases import AutoregressiveMixture, Mixture
from densiflow.laws.trial import moved
from densiflow.scalars.mixture_cdf import BOUND

KEY = jax.random.key(0)
DRAWS = 4000


def numbers(base):
    """Weights (k,), means and scales (k, dim), as the docstring has them."""
    log_scales = BOUND * np.tanh(np.asarray(base.scales, float) / BOUND)
    return special.softmax(np.asarray(base.logits, float)), np.asarray(base.means, float), np.exp(log_scales)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_density_is_scipys(dtype):
    z = np.random.default_rng(0).normal(size=(30, 3)) * 3
    with jax.enable_x64(True):
        base = moved(Mixture(KEY, 3, 4, dtype=dtype), KEY, size=0.7)
        seen = jax.vmap(base.log_prob)(jnp.asarray(z, dtype))
    w, means, scales = numbers(base)
    columns = stats.norm.logpdf(z[:, None], means, scales).sum(axis=-1)  # (rows, components)
    oracle = special.logsumexp(columns + np.log(w), axis=1)
    np.testing.assert_allclose(seen, oracle, rtol=3e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("place", [0, 1])
def test_samples_move_with_the_weights_as_their_mean_does(place):
    """The mean of column i is sum_k w_k m_ki, so its slope along logit k is w_k (m_ki - mean)."""
    base = moved(Mixture(KEY, 2, 3), KEY, size=0.3)

    def column(logits, key):
        return eqx.tree_at(lambda base: base.logits, base, logits).sample(key)[place]

    draws = 10 * DRAWS  # slopes are large for draws between two modes
    keys = jax.random.split(KEY, draws)
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(column), (None, 0)))(base.logits, keys), float)
    w, means, _ = numbers(base)
    wanted = w * (means[:, place] - w @ means[:, place])
    errors = slopes.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(slopes.mean(axis=0) - wanted) < 5 * errors + 1e-4)
    assert np.max(np.abs(wanted) / errors) > 10  # slopes of zero would be noticed


def test_every_component_gets_its_share_of_samples():
    apart = 20.0 * jnp.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    weights = jnp.array([0.2, 0.3, 0.5])
    base = eqx.tree_at(lambda base: (base.logits, base.means), Mixture(KEY, 2, 3), (jnp.log(weights), apart))
    drawn = np.asarray(jax.vmap(base.sample)(jax.random.split(KEY, DRAWS)))
    nearest = np.argmin(np.linalg.norm(drawn[:, None] - np.asarray(base.means), axis=-1), axis=1)
    share = np.bincount(nearest, minlength=3) / DRAWS
    np.testing.assert_allclose(share, weights, atol=5 * np.sqrt(0.25 / DRAWS))


def test_an_autoregressive_mixture_starts_with_its_components_side_by_side():
    base = AutoregressiveMixture(KEY, 2, components=4, hidden=(6,))
    theta = base.layer.conditioner(jnp.array([0.3, -2.0]))
    assert np.array_equal(theta[0], theta[1])
    assert len(np.unique(theta[0][4:8])) == 4
