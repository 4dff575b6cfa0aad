"""Stacked layers through one call of a kernel, beside the plain layers: a row at a time, in float64."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_checks import DIRECTIONS, assert_close, exact, fixed_loss, lowered

from densiflow import native
from densiflow.bijections import ActNorm, Autoregressive, Chain, Coupling, Permute, Stack, inversion
from densiflow.networks import MaskedMLP
from densiflow.scalars import Affine, RationalQuadraticSpline, Shift

pytestmark = pytest.mark.usefixtures("kernels")

CASES = {
    "one column": (1, 3, {"hidden": (3,)}),
    "one layer": (5, 1, {"hidden": (9, 8)}),
    "one layer in an order": (5, 1, {"hidden": (9,), "order": [1, 4, 0, 2, 3]}),
    "six columns": (6, 5, {"hidden": (64, 64)}),
    "an order of its own": (4, 3, {"hidden": (17,), "order": [2, 0, 3, 1], "activation": "tanh"}),
    "no hidden layer": (7, 2, {"hidden": ()}),
    "wide": (43, 3, {"hidden": (128, 96), "order": list(range(43))[::-1]}),
    "wider than the cache": (9, 3, {"hidden": (400, 400)}),
    "splines": (5, 3, {"hidden": (20,), "scalar": RationalQuadraticSpline(5)}),
    "one column, context": (1, 3, {"hidden": (3,), "context_dim": 1}),
    "context": (6, 5, {"hidden": (64, 64), "context_dim": 3}),
    "context everywhere": (4, 3, {"hidden": (17, 9), "context_dim": 2, "context_layers": "all", "activation": "tanh"}),
    "context alone": (3, 2, {"hidden": (), "context_dim": 70}),
    "splines, context": (3, 2, {"hidden": (20,), "scalar": RationalQuadraticSpline(5), "context_dim": 2}),
    "context bent": (3, 3, {"hidden": (9, 8), "context_dim": 2, "bends_context": True}),
    "couplings": (6, 3, {"hidden": (64, 64), "passing": (0, 1, 2)}),
    "odd couplings, context": (5, 2, {"hidden": (9, 8), "context_dim": 2, "passing": (4, 0, 2)}),
    "couplings by splines": (
        *(4, 2),
        {"hidden": (20,), "passing": (1,), "scalar": RationalQuadraticSpline(5), "activation": "tanh"},
    ),
    "additive couplings": (5, 2, {"hidden": (9,), "context_dim": 2, "passing": (0, 3), "scalar": Shift()}),
    "shifts": (5, 2, {"hidden": (9,), "scalar": Shift()}),
    "couplings without hidden layers": (3, 2, {"hidden": (), "passing": (0, 1)}),
    "wide couplings": (43, 2, {"hidden": (400, 300), "passing": tuple(range(21))}),
    "context bent, everywhere": (
        *(3, 2),
        {"hidden": (9,), "context_dim": 2, "bends_context": True, "context_layers": "all", "activation": "tanh"},
    ),
}


def layer_of(key, dim, bends_context=False, passing=None, **options):
    order = np.random.default_rng(int(jax.random.bits(key, dtype=np.uint16))).permutation(dim)
    if passing:
        rest = tuple(set(range(dim)) - set(passing))
        both = [Coupling(key, dim, passing=columns, start="random", **options) for columns in (passing, rest)]
        return Chain([Permute(order), both[0], Permute(order[::-1]), both[1]])
    if not bends_context:
        return Chain([Autoregressive(key, dim, start="random", **options), Permute(order)])
    network = MaskedMLP(key, dim, parameters=2, bends_context=True, start="random", **options)
    shift = 0.3 * jax.random.normal(key, network.context_biases[0].shape)
    network = eqx.tree_at(lambda net: net.context_biases, network, (shift,))
    return Chain([Autoregressive.of(network, Affine()), Permute(order)])


def stack_of(name):
    dim, depth, options = CASES[name]
    return Stack.of([layer_of(key, dim, **options) for key in jax.random.split(jax.random.key(1), depth)])


def rows_of(stack, n):
    """Rows (dim, n), and contexts (c, n) or None."""
    x = jax.random.normal(jax.random.key(3), (stack.dim, n))
    return x, jax.random.normal(jax.random.key(4), (stack.context_dim, n)) if stack.context_dim else None


def fast(direction, stack, x, context=None):
    return getattr(stack, f"{direction}_columns")(x, context)


def plain(direction, stack, x, context=None):
    """A row and a layer at a time, to data a column at a time."""
    layers = stack.unstacked()
    total = 0.0
    for layer in layers if direction == "to_base" else layers[::-1]:
        x, log_det = jax.vmap(getattr(layer, direction), in_axes=1, out_axes=(1, 0))(x, context)
        total += log_det
    return x, total


def calls(function, *args):
    return lowered(function, *args).count("@densiflow_made")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_values(name, direction):
    stack = stack_of(name)
    args = (stack, *rows_of(stack, 70))
    assert calls(partial(fast, direction), *args) == 1
    assert "while" not in lowered(partial(fast, direction), *args)
    assert_close(jax.jit(partial(fast, direction))(*args), exact(partial(plain, direction), *args), 1e-5)


@pytest.mark.parametrize("n", [0, 1, 64, 65, 200])
@pytest.mark.parametrize("name", ["an order of its own", "context everywhere"])
def test_any_number_of_rows_there_and_back(name, n):
    stack = stack_of(name)
    x, context = rows_of(stack, n)
    z, log_det = fast("to_base", stack, x, context)
    back, log_det_back = fast("to_data", stack, z, context)
    assert z.shape == x.shape
    assert_close((back, -log_det_back), (x, log_det), 1e-5)


def gradients(through, stack, x, context=None):
    """Of the stack's numbers, of the rows and of their contexts."""
    trained, rest = eqx.partition(stack, eqx.is_inexact_array)

    def loss(trained, x, context):
        return fixed_loss(through("to_base", eqx.combine(trained, rest), x, context))

    return jax.grad(loss, argnums=(0, 1) if context is None else (0, 1, 2))(trained, x, context)


@pytest.mark.parametrize("n", [1, 75, 200])
@pytest.mark.parametrize("name", CASES)
def test_gradients_in_training(name, n):
    stack = stack_of(name)
    args = (stack, *rows_of(stack, n))
    with native.gradients_only():
        assert "densiflow_made" in (text := lowered(partial(gradients, fast), *args))
        assert text.count("_to_base_back") == 1
        assert "while" not in text
        found = jax.jit(partial(gradients, fast))(*args)
    assert_close(found, exact(partial(gradients, plain), *args), 5e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["an order of its own", "context bent, everywhere", "odd couplings, context"])
def test_every_other_derivative_is_the_plain_one(name, direction):
    stack = stack_of(name)
    args = rows_of(stack, 3)
    for derivative in (jax.jacfwd, lambda f: jax.jacfwd(jax.jacrev(f))):
        found = jax.jit(derivative(partial(fast, direction, stack)))(*args)
        assert_close(found, exact(derivative(partial(plain, direction, stack)), *args), 2e-4)
    assert_close(gradients(fast, stack, *args), exact(partial(gradients, plain), stack, *args), 5e-5)


def test_over_flows():
    """`vmap` over flows, and one after the other, as ensembles have it; gradients in training too."""
    x, _ = rows_of(stack_of("six columns"), 20)
    stacks = [
        Stack.of([layer_of(key, 6, hidden=(9,)) for key in jax.random.split(jax.random.key(m), 3)]) for m in range(2)
    ]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *stacks)
    wanted = [gradients(partial(plain), stack, x) for stack in stacks]
    with native.gradients_only():
        found = jax.jit(jax.vmap(partial(gradients, fast), in_axes=(0, None)))(both, x)
        in_turn = jax.jit(lambda both: jax.lax.map(lambda stack: gradients(fast, stack, x), both))(both)
    for m in range(2):
        assert_close(jax.tree.map(lambda leaf, m=m: leaf[m], found), wanted[m], 5e-5)
        assert_close(jax.tree.map(lambda leaf, m=m: leaf[m], in_turn), wanted[m], 5e-5)


def test_what_the_kernel_does_not_know_is_scanned():
    def scanned(layer):
        stack = Stack.of([layer(key) for key in jax.random.split(jax.random.key(0), 2)])
        args = (stack, jnp.ones((3, 5)))
        return [calls(partial(fast, way), *args) == 0 or "while" in lowered(partial(fast, way), *args)
                for way in DIRECTIONS]  # fmt: skip

    assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [False, False]
    assert scanned(lambda key: layer_of(key, 3, hidden=(4,), activation="silu")) == [True, True]
    coupling, spline = partial(Coupling, dim=3, hidden=(4,)), RationalQuadraticSpline(5)
    assert scanned(lambda key: Chain([coupling(key), *layer_of(key, 3, hidden=(4,)).members])) == [False, False]
    assert scanned(lambda key: Chain([coupling(key), coupling(key, scalar=spline)])) == [True, True]
    assert scanned(lambda key: Chain([ActNorm(3), *layer_of(key, 3, hidden=(4,)).members])) == [True, True]
    with inversion("one pass"):
        assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [False, True]
    with native.derivatives("none"):
        assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [True, True]


def test_another_device_has_jax_alone():
    stack = stack_of("six columns")
    args = (stack, *rows_of(stack, 5))
    for mode in ("all", "reverse"):
        with native.derivatives(mode):
            text = jax.jit(partial(gradients, fast)).trace(*args).lower(lowering_platforms=("cuda",)).as_text()
        assert "densiflow_made" not in text
