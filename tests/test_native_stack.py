"""Stacked layers through one call of a kernel, beside the plain layers: a row at a time, in float64."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_checks import DIRECTIONS, assert_close, exact, fixed_loss, lowered

from densiflow import native
from densiflow.bijections import ActNorm, Autoregressive, Chain, Permute, Stack, inversion
from densiflow.scalars import RationalQuadraticSpline

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
}


def layer_of(key, dim, **options):
    order = np.random.default_rng(int(jax.random.bits(key, dtype=np.uint16))).permutation(dim)
    return Chain([Autoregressive(key, dim, start="random", **options), Permute(order)])


def stack_of(name):
    dim, depth, options = CASES[name]
    return Stack.of([layer_of(key, dim, **options) for key in jax.random.split(jax.random.key(1), depth)])


def rows_of(stack, n):
    return jax.random.normal(jax.random.key(3), (stack.dim, n))


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
    x = rows_of(stack, 70)
    assert calls(partial(fast, direction), stack, x) == 1
    assert "while" not in lowered(partial(fast, direction), stack, x)
    assert_close(jax.jit(partial(fast, direction))(stack, x), exact(partial(plain, direction), stack, x), 1e-5)


@pytest.mark.parametrize("n", [0, 1, 64, 65, 200])
def test_any_number_of_rows_there_and_back(n):
    stack = stack_of("an order of its own")
    x = rows_of(stack, n)
    z, log_det = fast("to_base", stack, x)
    back, log_det_back = fast("to_data", stack, z)
    assert z.shape == x.shape
    assert_close((back, -log_det_back), (x, log_det), 1e-5)


def gradients(through, stack, x):
    trained, rest = eqx.partition(stack, eqx.is_inexact_array)
    return jax.grad(lambda trained, x: fixed_loss(through("to_base", eqx.combine(trained, rest), x)), argnums=(0, 1))(
        trained, x
    )


@pytest.mark.parametrize("n", [1, 75, 200])
@pytest.mark.parametrize("name", CASES)
def test_gradients_in_training(name, n):
    stack = stack_of(name)
    x = rows_of(stack, n)
    with native.gradients_only():
        assert "densiflow_made" in (text := lowered(partial(gradients, fast), stack, x))
        assert text.count("_to_base_back") == 1
        assert "while" not in text
        found = jax.jit(partial(gradients, fast))(stack, x)
    assert_close(found, exact(partial(gradients, plain), stack, x), 5e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_layers_that_take_a_context(direction):
    """These are scanned, each through a call of its own."""
    keys = jax.random.split(jax.random.key(1), 3)
    stack = Stack.of([layer_of(key, 4, context_dim=2, hidden=(9,), activation="tanh") for key in keys])
    args = (stack, rows_of(stack, 70), jax.random.normal(jax.random.key(4), (2, 70)))
    assert calls(partial(fast, direction), *args) == 1
    assert_close(fast(direction, *args), exact(partial(plain, direction), *args), 1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["an order of its own"])
def test_every_other_derivative_is_the_plain_one(name, direction):
    stack = stack_of(name)
    x = rows_of(stack, 3)
    for derivative in (jax.jacfwd, lambda f: jax.jacfwd(jax.jacrev(f))):
        found = jax.jit(derivative(partial(fast, direction, stack)))(x)
        assert_close(found, exact(derivative(partial(plain, direction, stack)), x), 2e-4)
    assert_close(gradients(fast, stack, x), exact(partial(gradients, plain), stack, x), 5e-5)


def test_over_flows():
    """`vmap` over flows, and one after the other, as ensembles have it; gradients in training too."""
    x = rows_of(stack_of("six columns"), 20)
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
    def scanned(layer, context_dim=0):
        stack = Stack.of([layer(key) for key in jax.random.split(jax.random.key(0), 2)])
        args = (stack, jnp.ones((3, 5)), jnp.ones((context_dim, 5)) if context_dim else None)
        return [calls(partial(fast, way), *args) == 0 or "while" in lowered(partial(fast, way), *args)
                for way in DIRECTIONS]  # fmt: skip

    assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [False, False]
    assert scanned(lambda key: layer_of(key, 3, hidden=(4,), activation="silu")) == [True, True]
    assert scanned(lambda key: layer_of(key, 3, hidden=(4,), context_dim=2), 2) == [True, True]
    assert scanned(lambda key: Chain([ActNorm(3), *layer_of(key, 3, hidden=(4,)).members])) == [True, True]
    with inversion("one pass"):
        assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [False, True]
    with native.derivatives("none"):
        assert scanned(lambda key: layer_of(key, 3, hidden=(4,))) == [True, True]


def test_another_device_has_jax_alone():
    stack = stack_of("six columns")
    x = rows_of(stack, 5)
    for mode in ("all", "reverse"):
        with native.derivatives(mode):
            text = jax.jit(partial(gradients, fast)).trace(stack, x).lower(lowering_platforms=("cuda",)).as_text()
        assert "densiflow_made" not in text
