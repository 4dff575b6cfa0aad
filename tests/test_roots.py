"""The safeguarded root search: to the float's precision wherever the root lies, and differentiable of any order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from densiflow.roots import increasing_root


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [-1 + 1e-3, -0.9, -0.1, 0.0, 3.0, 1e3])
def test_roots_of_a_fold_are_brents(size, dtype):
    """a + size tanh(a) = y: nearly flat at 0 for sizes near -1, steep there for large ones."""
    y = np.concatenate([-np.geomspace(1e-4, 1e3, 20), [0.0], np.geomspace(1e-4, 1e3, 20)]).astype(dtype)
    with jax.enable_x64(True):
        target = jnp.asarray(y)
        found = increasing_root(lambda a: a + size * jnp.tanh(a) - target, target - abs(size), target + abs(size))
        assert found.dtype == dtype
    ends = abs(size) + 1
    exact = [
        brentq(lambda a, at=at: a + size * np.tanh(a) - at, at - ends, at + ends, xtol=1e-15, rtol=1e-15)
        for at in y.astype(float)
    ]
    slope = np.abs(1 + size / np.cosh(np.clip(exact, -300, 300)) ** 2)
    rounding = np.finfo(dtype).eps * (np.abs(exact) + abs(size) + np.abs(y)) / np.minimum(slope, 1)
    assert np.all(np.abs(np.asarray(found, float) - exact) <= 4 * rounding + 2e-15 * (1 + np.abs(exact)))  # and Brent's


def test_a_triple_root_is_found_though_newton_creeps():
    with jax.enable_x64(True):
        found = increasing_root(lambda x: (x - 0.3) ** 3, jnp.array(-1e3), jnp.array(2e3))
    assert abs(float(found) - 0.3) < 1e-4  # a cube of rounding size


def test_the_search_can_end_at_an_end_of_the_bracket():
    found = increasing_root(lambda x: x - jnp.array([0.0, 1.0]), jnp.zeros(2), jnp.ones(2))
    assert found.tolist() == [0.0, 1.0]


def test_derivatives_of_both_modes_and_of_second_order():
    def cube_root(y):
        return increasing_root(lambda x: x**3 - y, jnp.zeros_like(y), 1 + y)

    with jax.enable_x64(True):
        y = jnp.array(8.0)
        assert abs(jax.grad(cube_root)(y) - 1 / 12) < 1e-13
        assert abs(jax.jacfwd(cube_root)(y) - 1 / 12) < 1e-13
        assert abs(jax.grad(jax.grad(cube_root))(y) + 2 / 9 * 8 ** (-5 / 3)) < 1e-13
        assert abs(jax.jacfwd(jax.grad(cube_root))(y) + 2 / 9 * 8 ** (-5 / 3)) < 1e-13
        mapped = jax.vmap(jax.grad(cube_root))(jnp.array([1.0, 8.0, 27.0]))
        np.testing.assert_allclose(mapped, [1 / 3, 1 / 12, 1 / 27], rtol=1e-12)
