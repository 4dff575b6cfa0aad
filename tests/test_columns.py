"""Many rows at once: blocked products and the inversion in one pass, beside the plain pass for every row and column."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import native, recipes
from densiflow.bijections import Autoregressive, inversion, jacobi
from densiflow.bijections import one_pass as one_pass_module
from densiflow.bijections.one_pass import one_pass
from densiflow.errors import ArgumentError
from densiflow.judge import round_trip
from densiflow.networks import ResidualMaskedMLP, triangular
from densiflow.scalars import Affine, MixtureCDF, RationalQuadraticSpline, Reversed, Shift

KEY = jax.random.key(0)
ROUNDING = {"float32": 2e-5, "float64": 1e-10}

SCALARS = {
    "shift": Shift(),
    "affine": Affine(),
    "free affine": Affine(bound=None),
    "spline": RationalQuadraticSpline(4),
    "mixture": MixtureCDF(2),
    "reversed": Reversed(Affine("softplus")),
}

# dim, context_dim, widths: one column, narrower than the row, wider than what is cut in parts, none at all
SHAPES = [
    (1, 0, (4,)),
    (1, 2, (5, 3)),
    (2, 0, (8, 8)),
    (5, 1, (3, 2)),
    (6, 0, ()),
    (6, 2, (7, 300)),
    (13, 0, (300, 260)),
    (30, 3, (280, 280)),
    (64, 0, (9,)),
]


def layer_of(shape, scalar, dtype, **options):
    dim, context_dim, hidden = shape
    options = {"activation": "tanh", "start": "random"} | options
    return moved(Autoregressive(KEY, dim, context_dim, hidden=hidden, scalar=scalar, dtype=dtype, **options))


def moved(layer):
    """The layer with every weight moved, those that masks hide among them."""
    leaves, structure = jax.tree.flatten(layer)
    noise = np.random.default_rng(1)
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    return structure.unflatten(
        leaf + jnp.asarray(0.05 * noise.normal(size=leaf.shape), leaf.dtype) if is_weight else leaf
        for leaf, is_weight in zip(leaves, floating, strict=True)
    )


def rows_for(layer, n, dtype):
    rng = np.random.default_rng(0)
    context = jnp.asarray(rng.normal(size=(layer.context_dim, n)), dtype) if layer.context_dim else None
    return jnp.asarray(rng.normal(size=(layer.dim, n)), dtype), context


def plain(layer, way, x, context):
    """The one-row form, row by row: the reference."""
    return jax.vmap(getattr(layer, way), in_axes=1, out_axes=(1, 0))(x, context)


def assert_equal_to_the_plain_way(layer, dtype, n=3):
    x, context = rows_for(layer, n, dtype)
    for way in ("to_base", "to_data"):
        many = jax.jit(lambda layer, x, c, way=way: getattr(layer, f"{way}_columns")(x, c))(layer, x, context)
        one = jax.jit(plain, static_argnums=1)(layer, way, x, context)
        for seen, wanted in zip(many, one, strict=True):
            assert seen.shape == wanted.shape
            assert seen.dtype == np.dtype(dtype)
            scale = ROUNDING[dtype] * max(1.0, float(jnp.abs(wanted).max())) * layer.dim**0.5
            np.testing.assert_allclose(seen, wanted, rtol=ROUNDING[dtype], atol=scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_many_rows_equal_one_row_of_any_shape(shape):
    with jax.enable_x64(True):
        assert_equal_to_the_plain_way(layer_of(shape, Affine(), "float64", context_layers="all"), "float64")


def test_many_rows_equal_one_row_in_float32():
    with native.derivatives("none"):  # in JAX alone
        assert_equal_to_the_plain_way(layer_of((13, 1, (300, 20)), Affine(), "float32", activation="relu"), "float32")


@pytest.mark.parametrize("scalar", SCALARS)
def test_many_rows_equal_one_row_for_any_scalar_map(scalar):
    with jax.enable_x64(True):
        assert_equal_to_the_plain_way(layer_of((9, 1, (40, 30)), SCALARS[scalar], "float64"), "float64")


@pytest.mark.parametrize(("dim", "width", "context_dim"), [(1, 4, 1), (5, 3, 0), (11, 300, 2)])
def test_many_rows_equal_one_row_for_residual_networks(dim, width, context_dim):
    with jax.enable_x64(True):
        network = ResidualMaskedMLP(KEY, dim, context_dim, parameters=2, width=width, start="random", dtype="float64")
        assert_equal_to_the_plain_way(moved(Autoregressive.of(network, Affine())), "float64")


def test_many_columns():
    with jax.enable_x64(True):
        assert_equal_to_the_plain_way(layer_of((784, 0, (800,)), Affine(), "float64"), "float64")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_groups_of_any_size_give_the_same(size):
    """Also a size that does not divide the columns, and one larger than all of them."""
    with jax.enable_x64(True):
        layer = layer_of((7, 1, (20, 11)), RationalQuadraticSpline(3), "float64")
        z, context = rows_for(layer, 4, "float64")
        x, log_det = jax.jit(one_pass, static_argnums=1)(layer.scalar, size, layer.conditioner, z, context)
        wanted, wanted_log_det = plain(layer, "to_data", z, context)
        np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-12)
        np.testing.assert_allclose(log_det, wanted_log_det, rtol=0, atol=1e-12)


def test_gradients_are_those_of_the_plain_way():
    with jax.enable_x64(True):
        layer = layer_of((6, 1, (300,)), Affine(), "float64")
        z, context = rows_for(layer, 3, "float64")

        def gradient(way):
            def total(layer):
                x, log_det = way(layer, z, context)
                return jnp.sum(jnp.sin(x)) + jnp.sum(log_det**2)

            return jax.jit(jax.grad(total))(layer)

        for way in ("to_base", "to_data"):
            many = gradient(lambda layer, z, c, way=way: getattr(layer, f"{way}_columns")(z, c))
            one = gradient(lambda layer, z, c, way=way: plain(layer, way, z, c))
            for seen, wanted in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
                np.testing.assert_allclose(seen, wanted, rtol=0, atol=1e-11)


def test_an_order_of_its_own():
    with jax.enable_x64(True):
        layer = layer_of((5, 1, (12,)), Affine(), "float64", order=[3, 1, 0, 2, 4])
        assert_equal_to_the_plain_way(layer, "float64")


FAULTS = {
    "a mask forgotten": (triangular, "masked", lambda weight, ends, readers, read: weight[readers, read]),
    "a part of a layer left out": (
        triangular,
        "_sum",
        lambda added, given, *rest: triangular_sum(added, given[:-1], *rest),
    ),
    "units one column late": (
        one_pass_module,
        "_between",
        lambda degrees, first, end: between(degrees, first, end - 1),
    ),
}
triangular_sum, between = triangular._sum, one_pass_module._between


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_notices(fault, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    with jax.enable_x64(True), pytest.raises((AssertionError, TypeError)):
        assert_equal_to_the_plain_way(layer_of((12, 0, (300, 300)), Affine(), "float64"), "float64")


@pytest.mark.parametrize("way", ["auto", "one pass", "column by column", "jacobi"])
def test_every_way_to_data_gives_the_same(way):
    with jax.enable_x64(True):
        layer = layer_of((7, 1, (20, 11)), Affine(), "float64", order=[3, 1, 0, 2, 6, 5, 4])
        z, context = rows_for(layer, 4, "float64")
        with inversion(way):
            seen = jax.jit(lambda layer, z, c: layer.to_data_columns(z, c))(layer, z, context)
        for value, wanted in zip(seen, plain(layer, "to_data", z, context), strict=True):
            np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-12)


def test_another_way_is_refused():
    with pytest.raises(ArgumentError, match="inversion must be one of auto, one pass, column by column, jacobi"):
        inversion("newton")


def test_jacobi_ends_when_nothing_moves_or_every_column_is_right():
    with jax.enable_x64(True):
        layer = layer_of((6, 0, (12,)), Affine(), "float64")
        z, _ = rows_for(layer, 5, "float64")
        wanted, _ = plain(layer, "to_data", z, None)
        x, _, residual = jacobi(layer.scalar, layer.conditioner, z, tolerance=0.0)
        np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-13)  # after as many passes as columns
        x, _, residual = jacobi(layer.scalar, layer.conditioner, z, tolerance=0.1)
        assert 0 < float(jnp.max(residual)) < 0.1 * (1 + float(jnp.max(jnp.abs(x))))
        assert float(jnp.max(jnp.abs(x - wanted))) > 1e-8  # it did end early


def test_the_round_trip_is_what_the_flow_loses():
    flow = recipes.maf(KEY, dim=3, layers=2, hidden=(16,), start="random").standardised(100 * rows_for_fit())
    x = np.asarray(rows_for_fit() * 100, np.float32)
    assert np.all(round_trip(flow, x) < 1e-5)
    with inversion("jacobi"):
        assert np.all(round_trip(flow, x) < 1e-5)
    biases = flow.bijection.layers.members[0].conditioner.biases[-1]
    stretched = eqx.tree_at(lambda f: f.bijection.layers.members[0].conditioner.biases[-1], flow, biases + 1e6)
    assert np.all(round_trip(stretched, x) > 1e-3)  # so far out that float32 keeps fewer digits


def rows_for_fit():
    return np.random.default_rng(0).normal(size=(20, 3))
