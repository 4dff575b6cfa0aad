"""Degrees and masks: sorted, triangular, and never without the context."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import laws, recipes
from densiflow.bijections import Autoregressive
from densiflow.errors import ArgumentError, ShapeError
from densiflow.networks import MaskedMLP, ResidualMaskedMLP, masks
from densiflow.scalars import Affine, Shift

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


COUNTED = [
    MaskedMLP(
        jax.random.key(0),
        4,
        2,
        parameters=2,
        hidden=(6, 5),
        activation="tanh",
        units=((2, 0, 3, 1, 0), (1, 1, 1, 1, 1)),
        start="random",
    ),
    ResidualMaskedMLP(
        jax.random.key(0), 4, 2, parameters=2, width=6, activation="tanh", units=(1, 0, 2, 2, 1), start="random"
    ),
    ResidualMaskedMLP(jax.random.key(0), 4, 2, parameters=2, width=3, blocks=3, activation="silu", start="random"),
]


@pytest.mark.parametrize("network", COUNTED)
def test_counted_units_and_residual_blocks_keep_the_triangle(network):
    jacobian = jax.jacobian(network)(jnp.full(4, 0.1), jnp.ones(2))
    reads = np.abs(np.asarray(jacobian)).max(axis=1) > 0
    assert np.array_equal(reads, network.dependence())
    assert not np.triu(reads).any()
    of_context = jax.jacobian(network, argnums=1)(jnp.full(4, 0.1), jnp.ones(2))
    assert np.all(np.abs(np.asarray(of_context)).max(axis=(1, 2)) > 0)  # every column sees the context


def test_units_of_the_degree_that_nothing_may_read_change_nothing():
    network = COUNTED[0]  # the last unit of its second layer has degree 4
    other = eqx.tree_at(lambda network: network.biases[1], network, network.biases[1].at[-1].add(5.0))
    x, context = jnp.array([0.3, -1.0, 0.7, 2.0]), jnp.ones(2)
    assert np.array_equal(network(x, context), other(x, context))


@pytest.mark.parametrize("bends", [False, True])
def test_a_residual_network_is_its_formula(bends):
    network = ResidualMaskedMLP(
        jax.random.key(1), 3, 2, parameters=2, width=5, activation="tanh", bends_context=bends, start="random"
    )
    numbers = np.random.default_rng(0)
    network = jax.tree.map(lambda leaf: jnp.asarray(numbers.normal(size=leaf.shape), leaf.dtype), network)
    degrees = network.degrees()
    inside = degrees[:, None] >= degrees
    first = degrees[:, None] >= np.arange(1, 4)
    last = np.repeat(np.arange(3), 2)[:, None] >= degrees
    weights = [np.asarray(w) * m for w, m in zip(network.weights, [first, *[inside] * 4, last], strict=True)]
    biases, of_context = (
        [np.asarray(array) for array in arrays] for arrays in (network.biases, network.context_weights)
    )
    x, c = numbers.normal(size=3), numbers.normal(size=2)
    given = of_context[0] @ c
    h = weights[0] @ x + biases[0] + (np.tanh(given + network.context_biases[0]) if bends else given)
    for t in (1, 2):
        u = weights[2 * t - 1] @ np.tanh(h) + biases[2 * t - 1] + of_context[t] @ c
        h = h + weights[2 * t] @ np.tanh(u) + biases[2 * t]
    wanted = (weights[5] @ h + biases[5]).reshape(3, 2)
    assert np.allclose(network(jnp.asarray(x, "float32"), jnp.asarray(c, "float32")), wanted, atol=1e-4)


def test_a_bent_context_is_its_formula():
    network = MaskedMLP(
        jax.random.key(1), 1, 2, parameters=2, hidden=(4,), activation="tanh", bends_context=True, start="random"
    )
    network = eqx.tree_at(lambda network: network.context_biases[0], network, jnp.arange(4.0))
    c = jnp.array([0.5, -1.0])
    h = np.tanh(network.biases[0] + np.tanh(network.context_weights[0] @ c + jnp.arange(4.0)))
    assert np.allclose(network(jnp.zeros(1), c).ravel(), network.weights[1] @ h + network.biases[1], atol=1e-6)


@pytest.mark.parametrize("name", ResidualMaskedMLP.examples(jax.random.key(0)))
def test_residual_networks_obey_the_laws(name):
    network = ResidualMaskedMLP.examples(jax.random.key(0))[name]
    laws.check_bijection(Autoregressive.of(network, Affine() if network.parameters == 2 else Shift()))


def test_a_residual_network_starts_as_nothing():
    network = ResidualMaskedMLP(jax.random.key(0), 3, 1, parameters=2, width=8)
    assert not network(jnp.ones(3), jnp.ones(1)).any()


@pytest.mark.parametrize(
    ("cls", "options"),
    [(MaskedMLP, {"hidden": (8, 8), "activation": "elu"}), (ResidualMaskedMLP, {"width": 8, "bends_context": True})],
)
def test_a_network_of_given_numbers(cls, options):
    options |= {"dim": 3, "context_dim": 2, "parameters": 2}
    drawn = cls(jax.random.key(0), start="random", **options)
    arrays = [drawn.weights, drawn.biases, drawn.context_weights, drawn.context_biases]
    again = cls.of(*arrays, **options)
    x, context = jnp.array([0.3, -1.0, 0.7]), jnp.ones(2)
    assert np.array_equal(drawn(x, context), again(x, context))
    with pytest.raises(ShapeError, match=r"biases must have the shapes"):
        cls.of(drawn.weights, drawn.biases[:-1], drawn.context_weights, drawn.context_biases, **options)
    with pytest.raises(ShapeError, match=r"context_weights must have the shapes"):
        cls.of(drawn.weights, drawn.biases, (), drawn.context_biases, **options)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (MaskedMLP, {"hidden": (4,), "units": ((1, 1, 1),)}),
        (MaskedMLP, {"hidden": (3,), "units": ((1, 1, 1, 0),)}),
        (ResidualMaskedMLP, {"width": 4, "units": (1, 1, 1)}),
        (ResidualMaskedMLP, {"width": 0}),
        (ResidualMaskedMLP, {"blocks": 0}),
        (ResidualMaskedMLP, {"activation": "swoosh"}),
        (ResidualMaskedMLP, {"context_layers": "some"}),
        (ResidualMaskedMLP, {"start": "warm"}),
    ],
)
def test_odd_options_are_named(cls, options):
    named = "units" if "units" in options else next(iter(options))
    with pytest.raises(ArgumentError, match=named):
        cls(jax.random.key(0), 2, parameters=1, **options)
