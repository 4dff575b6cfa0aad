"""Degrees and masks: sorted, triangular, and never without the context."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import recipes
from densiflow.networks import MaskedMLP, masks

CASES = [(dim, context_dim, width) for dim in (1, 2, 5, 21) for context_dim in (0, 3) for width in (1, 2, 7, 64)]


@pytest.mark.parametrize(("dim", "context_dim", "width"), CASES)
def test_degrees_are_sorted_and_leave_nobody_out(dim, context_dim, width):
    degrees = masks.hidden_degrees(dim, context_dim, width)
    assert len(degrees) == width
    assert np.all(np.diff(degrees) >= 0)
    assert degrees[0] == (0 if context_dim or dim == 1 else 1)
    assert degrees[-1] <= max(dim - 1, 0)
    if width >= dim:  # wide enough: every degree that an output can use is there, about equally often
        counts = np.unique(degrees, return_counts=True)[1]
        assert len(counts) == max(dim if context_dim else dim - 1, 1)
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("hidden", [(), (3,), (2, 9), (16, 16, 16)])
def test_a_column_reads_the_columns_before_it_and_no_other(hidden):
    network = MaskedMLP(jax.random.key(0), 6, 2, parameters=2, hidden=hidden, activation="tanh", start="random")
    jacobian = jax.jacobian(network)(jnp.full(6, 0.1), jnp.ones(2))  # (column, parameter, read)
    reads = np.abs(np.asarray(jacobian)).max(axis=1) > 0
    assert np.array_equal(reads, network.dependence())
    assert not np.triu(reads).any()
    if not hidden or min(hidden) >= 6:
        assert np.array_equal(reads, np.tril(np.ones((6, 6), bool), -1))


def test_weights_outside_the_mask_change_nothing():
    network = MaskedMLP(jax.random.key(0), 4, parameters=2, hidden=(8, 8), start="random")
    degrees = network.degrees()
    spoiled = [
        weight + 1e6 * ~masks.mask(reader, read)
        for weight, reader, read in zip(network.weights, degrees[1:], degrees[:-1], strict=True)
    ]
    import equinox as eqx

    other = eqx.tree_at(lambda network: network.weights, network, tuple(spoiled))
    x = jnp.array([0.3, -1.0, 0.7, 2.0])
    assert np.array_equal(network(x), other(x))


def test_the_program_does_not_grow_with_depth():
    def size(layers):
        flow = recipes.maf(jax.random.key(0), dim=3, layers=layers, hidden=(8, 8))
        return len(jax.jit(lambda flow, x: flow.log_prob(x)).lower(flow, jnp.zeros((5, 3))).as_text())

    assert size(20) < 1.05 * size(2)


def test_the_context_enters_every_product_if_asked():
    first = MaskedMLP(jax.random.key(0), 3, 2, parameters=2, hidden=(8, 8))
    every = MaskedMLP(jax.random.key(0), 3, 2, parameters=2, hidden=(8, 8), context_layers="all")
    assert len(first.context_weights) == 1
    assert [weight.shape for weight in every.context_weights] == [(8, 2), (8, 2), (6, 2)]
