"""The optimiser's step against optax, and what it does with numbers that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from densiflow.training import adam, program

WEIGHTS = {"wide": np.linspace(-1.0, 2.0, 12).reshape(3, 4), "one": np.array(0.5)}


def gradients(steps, scale):
    rng = np.random.default_rng(0)
    return [jax.tree.map(lambda leaf: scale * rng.normal(size=leaf.shape), WEIGHTS) for _ in range(steps)]


def assert_close(a, b, **options):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, **options)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1e3])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_that_of_optax_with_its_gradient_clipped(scale, decay):
    with jax.enable_x64(True):
        rate = 0.01
        reference = optax.chain(
            optax.clip_by_global_norm(adam.CLIP), optax.scale_by_adam(), optax.add_decayed_weights(decay)
        )
        weights = jax.tree.map(jnp.asarray, WEIGHTS)
        state, theirs = adam.start(weights), reference.init(weights)
        average = weights
        for k, gradient in enumerate(gradients(30, scale)):
            state, sound = jax.jit(adam.step)(state, jnp.asarray(1.0), gradient, jnp.asarray(rate), decay)
            direction, theirs = reference.update(gradient, theirs, weights)
            weights = jax.tree.map(lambda w, d: w - rate * d, weights, direction)
            memory = min(adam.MEMORY, (1 + k) / (10 + k))
            average = jax.tree.map(lambda a, w, memory=memory: memory * a + (1 - memory) * w, average, weights)
            assert bool(sound)
        assert_close(state.trained, weights, rtol=1e-12)
        assert_close(state.average, average, rtol=1e-12)
        assert int(state.step) == 30


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])  # the last has a square that is infinite
@pytest.mark.parametrize("where", ["value", "one gradient"])
def test_a_step_that_is_not_sound_changes_no_bit(bad, where):
    weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), WEIGHTS)
    first, second = (jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), g) for g in gradients(2, 1.0))
    state, _ = adam.step(adam.start(weights), jnp.float32(0.0), first, jnp.float32(0.1), 0.1)
    value = jnp.float32(0.0)
    if where == "value":
        value = jnp.float32(bad) * 1e30
    else:
        second["wide"] = second["wide"].at[1, 2].set(bad)
    after, sound = jax.jit(adam.step)(state, value, second, jnp.float32(0.1), 0.1)
    assert not bool(sound)
    for p, q in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_gradient_of_zero_moves_nothing():
    weights = jax.tree.map(jnp.asarray, WEIGHTS)
    state, sound = adam.step(adam.start(weights), jnp.zeros(()), jax.tree.map(jnp.zeros_like, weights), jnp.ones(()), 0)
    assert bool(sound)
    assert_close(state.trained, weights, rtol=0)


def test_the_state_to_start_from_shares_no_memory_with_the_weights():
    weights = jax.tree.map(jnp.asarray, WEIGHTS)
    state = program.start(weights)
    addresses = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((weights, state))]
    assert len(set(addresses)) == len(addresses)
