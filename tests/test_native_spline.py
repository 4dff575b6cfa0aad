"""The compiled kernels of spline layers beside the plain ones, in float64 where it matters."""

from functools import partial

import jax
import jax.numpy as jnp
import kernel_checks
import numpy as np
import pytest
from kernel_checks import (
    DIRECTIONS,
    assert_close,
    assert_masked,
    exact,
    fast,
    fixed_loss,
    lowered,
    moved_network,
    plain,
)

from densiflow import native
from densiflow.networks.masked_mlp import MaskedMLP
from densiflow.scalars import RationalQuadraticSpline

pytestmark = pytest.mark.usefixtures("kernels")

BINS = range(2, 17)
CASES = {  # columns, context, bins, the network's options
    "one column": (1, 0, 8, {"hidden": (3,)}),
    "one column, context": (1, 2, 5, {"hidden": (5, 4), "activation": "tanh"}),
    "two columns": (2, 0, 8, {"hidden": (64, 64)}),
    "two bins": (3, 0, 2, {"hidden": (16,)}),
    "sixteen bins": (5, 1, 16, {"hidden": (24, 24)}),
    "narrower than dim - 1": (6, 0, 4, {"hidden": (3, 2), "activation": "tanh"}),
    "no hidden layer": (7, 0, 3, {"hidden": ()}),
    "no hidden layer, context": (3, 2, 8, {"hidden": ()}),
    "context in every product": (9, 2, 6, {"hidden": (20, 11), "context_layers": "all", "activation": "tanh"}),
    "context bent": (5, 2, 8, {"hidden": (8, 9), "bends_context": True}),
    "miniboone's columns": (43, 0, 8, {"hidden": (64, 64)}),
    "64 columns": (64, 0, 7, {"hidden": (80,)}),
}


def layer_of(name):
    dim, context_dim, bins, options = CASES[name]
    scalar = RationalQuadraticSpline(bins)
    return scalar, moved_network(dim, context_dim, scalar.parameters, options)


rows_of = partial(kernel_checks.rows_of, spread=1.7)  # of which some lie outside the box


def is_called(function, *args):
    return "densiflow_made_spline" in lowered(function, *args)


def given(scalar):
    """A network of one column that says its context, so that each row has parameters of its own."""
    count = scalar.parameters
    return MaskedMLP.of([np.zeros((count, 1))], [np.zeros(count)], [np.eye(count)], dim=1, context_dim=count,
                        parameters=count, hidden=())  # fmt: skip


def splines(direction, scalar, x, theta):
    """Each number by a spline of its own, through the kernels: x (n,), theta (parameters, n)."""
    return tuple(jnp.ravel(part) for part in fast(direction, scalar, given(scalar), x[None], theta))


def splines_plain(direction, scalar, x, theta):
    return getattr(scalar, direction)(x, theta.T)


def numbers_of(scalar, n=2000, size=1.0):
    x = jax.random.uniform(jax.random.key(5), (n,), minval=-1.2 * scalar.bound, maxval=1.2 * scalar.bound)
    return x, size * jax.random.normal(jax.random.key(6), (scalar.parameters, n))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("bins", BINS)
def test_splines_of_all_bins(bins, direction):
    scalar = RationalQuadraticSpline(bins)
    args = numbers_of(scalar)
    assert is_called(partial(splines, direction, scalar), *args)
    wanted = exact(partial(splines_plain, direction, scalar), *args)
    value, log_slope = splines(direction, scalar, *args)
    # the knots are sums of up to 16 sizes, rounded; a spline magnifies that by its slope and by the change of it
    assert_close(value, wanted[0], 1e-5)
    assert_close(log_slope, wanted[1], 1e-4)
    assert float(np.mean(np.abs(log_slope - wanted[1]))) < 2e-6


@pytest.mark.parametrize("bound", [0.05, 1.0, 40.0])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_boxes(direction, bound):
    scalar = RationalQuadraticSpline(8, bound)
    args = numbers_of(scalar)
    value, log_slope = splines(direction, scalar, *args)
    wanted = exact(partial(splines_plain, direction, scalar), *args)
    assert_close(value / bound, wanted[0] / bound, 1e-5)
    assert_close(log_slope, wanted[1], 1e-4)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_at_the_edges_and_outside(direction):
    scalar = RationalQuadraticSpline(8, 3.0)
    outside = np.array([3.0, -3.0, np.nextafter(np.float32(3), 9), -1e30, np.inf, -np.inf, np.nan, 100], np.float32)
    _, theta = numbers_of(scalar, len(outside))
    value, log_slope = splines(direction, scalar, jnp.asarray(outside), theta)
    np.testing.assert_array_equal(value, outside)
    np.testing.assert_array_equal(log_slope, 0)
    edge = np.nextafter(np.float32(3), 0)
    inside = jnp.array([edge, -edge] * 4)
    value, log_slope = splines(direction, scalar, inside, theta)
    np.testing.assert_allclose(value, inside, atol=2e-6)
    np.testing.assert_allclose(log_slope, 0, atol=1e-4)


@pytest.mark.parametrize("bins", [2, 8, 16])
def test_at_the_knots_pieces_meet(bins):
    """Equal bins of slope 1 are the identity, at every knot and beside it."""
    scalar = RationalQuadraticSpline(bins, 3.0)
    knots = np.linspace(-3, 3, bins + 1, dtype=np.float32)
    x = jnp.asarray(np.concatenate([knots, np.nextafter(knots, -9), np.nextafter(knots, 9)]))
    for direction in DIRECTIONS:
        value, log_slope = splines(direction, scalar, x, jnp.zeros((scalar.parameters, len(x))))
        np.testing.assert_allclose(value, x, atol=1e-6)
        np.testing.assert_allclose(log_slope, 0, atol=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [30.0, 1e4, 1e30])
def test_parameters_of_any_size(size, direction):
    """Bins as thin as they may be and slopes as steep: numbers stay finite, inside the box and in order."""
    scalar = RationalQuadraticSpline(8)
    x = jnp.linspace(-2.999, 2.999, 501)
    theta = jnp.tile(size * jax.random.normal(jax.random.key(0), (scalar.parameters, 1)), (1, len(x)))
    value, log_slope = splines(direction, scalar, x, theta)
    assert np.isfinite(value).all()
    assert np.isfinite(log_slope).all()
    assert np.max(np.abs(value)) <= 3 + 1e-5
    assert np.min(np.diff(value)) >= -1e-5
    assert_close(value, exact(partial(splines_plain, direction, scalar), x, theta)[0], 1e-4)


def test_parameters_that_are_not_finite_stay_alone():
    scalar = RationalQuadraticSpline(8)
    x, theta = numbers_of(scalar, 70)
    x = x.at[jnp.array([3, 40])].set(0.5)
    clean = splines("to_base", scalar, x, theta)
    z, log_slope = splines("to_base", scalar, x, theta.at[2, 3].set(np.nan).at[:, 40].set(np.inf))
    others = np.delete(np.arange(70), [3, 40])
    for found, wanted in zip((z, log_slope), clean, strict=True):
        np.testing.assert_array_equal(found[others], wanted[others])
        assert np.isnan(found[np.array([3, 40])]).all()


def slopes_of(of, direction, scalar, x, theta):
    """Derivatives of both results of every number, by it and by its parameters."""

    def total(x, theta):
        value, log_slope = of(direction, scalar, x, theta)
        return jnp.dot(jnp.sin(1.0 + jnp.arange(len(x))), value) + jnp.dot(jnp.cos(jnp.arange(len(x))), log_slope)

    return jax.grad(total, argnums=(0, 1))(x, theta)


@pytest.mark.parametrize("bins", BINS)
def test_derivatives_of_splines_of_all_bins(bins):
    scalar = RationalQuadraticSpline(bins)
    args = numbers_of(scalar, size=0.5)
    wanted = exact(partial(slopes_of, splines_plain, "to_base", scalar), *args)
    with native.gradients_only():
        found = jax.jit(partial(slopes_of, splines, "to_base", scalar))(*args)
    for a, b in zip(found, wanted, strict=True):
        largest = np.max(np.abs(b))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-3 * largest)
        assert np.mean(np.abs(a - b)) < 3e-6 * largest


def test_derivatives_outside_and_for_parameters_of_any_size():
    scalar = RationalQuadraticSpline(8)
    x = jnp.array([-3.0, 3.0, 5.0, -1e9])
    _, theta = numbers_of(scalar, 4)
    with native.gradients_only():
        slope_x, slope_theta = slopes_of(splines, "to_base", scalar, x, theta)
        extreme = slopes_of(splines, "to_base", scalar, *numbers_of(scalar, 500, size=1e4))
    np.testing.assert_allclose(slope_x, jnp.sin(1.0 + jnp.arange(4)), rtol=1e-6)
    np.testing.assert_array_equal(slope_theta, 0)
    assert all(np.isfinite(part).all() for part in extreme)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_layers(name, direction):
    scalar, network = layer_of(name)
    args = (network, *rows_of(network, 37))
    assert is_called(partial(fast, direction, scalar), *args)
    found = jax.jit(partial(fast, direction, scalar))(*args)
    assert_close(found, exact(partial(plain, direction, scalar), *args), 2e-5)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 200])
def test_any_number_of_rows_and_back(n):
    scalar, network = layer_of("context in every product")
    x, context = rows_of(network, n)
    z, log_det = fast("to_base", scalar, network, x, context)
    assert_close((z, log_det), exact(partial(plain, "to_base", scalar), network, x, context), 2e-5)
    back, log_det_back = fast("to_data", scalar, network, z, context)
    assert_close((back, -log_det_back), (x, log_det), 5e-5)


def loss(of, scalar, network, x, context):
    return fixed_loss(of("to_base", scalar, network, x, context))


@pytest.mark.parametrize("name", CASES)
def test_gradients_in_training(name):
    scalar, network = layer_of(name)
    args = (network, *rows_of(network, 75))
    argnums = (0, 1, 2) if network.context_dim else (0, 1)
    wanted = exact(jax.grad(partial(loss, plain, scalar), argnums=argnums), *args)
    gradient = jax.grad(partial(loss, fast, scalar), argnums=argnums)
    with native.gradients_only():
        assert "densiflow_made_spline_to_base_back" in lowered(gradient, *args)
        found = jax.jit(gradient)(*args)
    with native.derivatives("none"), native.gradients_only():
        assert not is_called(gradient, *args)
    assert_close(found, wanted, 5e-5)
    assert_masked(network, found[0])


DERIVATIVES = [("to_base", jax.jacfwd), ("to_data", jax.jacfwd), ("to_base", lambda f: jax.jacfwd(jax.jacrev(f)))]


@pytest.mark.parametrize(("direction", "derivative"), DERIVATIVES, ids=["to base", "to data", "to base, twice"])
def test_every_other_derivative_is_the_plain_one(direction, derivative):
    scalar = RationalQuadraticSpline(2)
    network = MaskedMLP(jax.random.key(1), 2, parameters=5, hidden=(8,), activation="tanh", start="random")
    x, _ = rows_of(network, 3)
    found, wanted = (jax.jit(derivative(partial(of, direction, scalar, network)))(x) for of in (fast, plain))
    assert_close(found, wanted, 5e-5)


def test_over_flows():
    """`vmap` over networks, as ensembles have it; gradients in training too."""
    scalar = RationalQuadraticSpline(4)
    networks = jax.vmap(lambda key: MaskedMLP(key, 4, parameters=scalar.parameters, hidden=(9,), start="random"))(
        jax.random.split(jax.random.key(0), 3)
    )
    x = jax.random.normal(jax.random.key(1), (3, 4, 20))
    found = jax.vmap(partial(fast, "to_base", scalar))(networks, x)
    assert_close(found, jax.vmap(partial(plain, "to_base", scalar))(networks, x), 2e-5)
    slopes = jax.vmap(jax.grad(partial(loss, fast, scalar)), in_axes=(0, 0, None))
    with native.gradients_only():
        found = slopes(networks, x, None)
    assert_close(found, slopes(networks, x, None), 5e-5)


def test_what_the_kernels_do_not_know_is_left_to_jax():
    def called(bins, activation="relu"):
        scalar = RationalQuadraticSpline(bins)
        network = MaskedMLP(jax.random.key(0), 2, parameters=scalar.parameters, hidden=(4,), activation=activation)
        return is_called(partial(fast, "to_base", scalar), network, jnp.ones((2, 5)))

    assert called(16)
    assert called(2, "tanh")
    assert not called(17)
    assert not called(8, "silu")
