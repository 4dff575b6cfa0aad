"""Normal numbers through the compiled kernel, beside those that JAX draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_checks import lowered

from densiflow import native

pytestmark = pytest.mark.usefixtures("kernels")


def drawn(keys, count, dtype=jnp.float32):
    return jax.vmap(lambda key: native.normal(key, count, dtype))(keys)


def plain(keys, count):
    return jax.vmap(lambda key: jax.random.normal(key, (count,)))(keys)


def is_called(keys, dtype=jnp.float32):
    return lowered(lambda keys: drawn(keys, 3, dtype), keys).count("@densiflow_normal") == 1


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 300])
@pytest.mark.parametrize("count", [1, 6, 43])
def test_those_of_jax(n, count):
    keys = jax.random.split(jax.random.key(n), n)
    assert is_called(keys)
    np.testing.assert_allclose(jax.jit(drawn, static_argnums=1)(keys, count), plain(keys, count), rtol=5e-7)


def test_far_numbers_too():
    """Of three million; in several pieces of work."""
    keys = jax.random.split(jax.random.key(7), 30_000)
    found, wanted = np.asarray(drawn(keys, 100)), np.asarray(plain(keys, 100))
    assert np.abs(wanted).max() > 4.9
    np.testing.assert_allclose(found, wanted, rtol=5e-7)


def test_of_one_key_and_of_keys_in_any_shape():
    keys = jax.random.split(jax.random.key(2), (3, 2))
    wanted = plain(keys.reshape(-1), 5).reshape(3, 2, 5)
    np.testing.assert_allclose(jax.vmap(lambda row: drawn(row, 5))(keys), wanted, rtol=5e-7)
    np.testing.assert_allclose(native.normal(keys[1, 1], 5, jnp.float32), wanted[1, 1], rtol=5e-7)
    bare = jax.random.PRNGKey(3)
    np.testing.assert_allclose(native.normal(bare, 5, jnp.float32), jax.random.normal(bare, (5,)), rtol=5e-7)


def test_a_row_depends_on_its_key_alone():
    keys = jax.random.split(jax.random.key(5), 100)
    np.testing.assert_array_equal(drawn(keys, 6)[37:60], drawn(keys[37:60], 6))


def test_derivatives_pass_it_by_in_both_modes():
    keys = jax.random.split(jax.random.key(0), 4)
    mean = jnp.array([1.0, -2.0, 0.5])
    for derivative in (jax.jacfwd, jax.jacrev):
        slope = jax.jit(derivative(lambda mean: jnp.sum((mean + drawn(keys, 3)) ** 2)))(mean)
        np.testing.assert_allclose(slope, 2 * jnp.sum(mean + plain(keys, 3), axis=0), rtol=1e-6)


def test_what_the_kernel_does_not_know_is_left_to_jax(monkeypatch):
    keys = jax.random.split(jax.random.key(0), 4)
    assert is_called(keys)
    with jax.enable_x64(True):
        assert not is_called(keys, jnp.float64)
    for name in ("rbg", "unsafe_rbg"):
        assert not is_called(jax.random.split(jax.random.key(0, impl=name), 4))
    with jax.threefry_partitionable(False):
        assert not is_called(keys)
    with native.derivatives("none"):
        assert not is_called(keys)
    text = jax.jit(lambda keys: drawn(keys, 3)).trace(keys).lower(lowering_platforms=("cuda",)).as_text()
    assert "densiflow_normal" not in text
    monkeypatch.setenv("DENSIFLOW_NATIVE", "0")
    assert not is_called(keys)
