"""The bijections that mix, scale and bend columns without a network: Linear, ActNorm, Exp."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

from densiflow import Flow, bases, laws, training
from densiflow.bijections import ActNorm, Autoregressive, Chain, Elementwise, Exp, Linear, Stack
from densiflow.errors import ArgumentError, KeyTypeError
from densiflow.fixed import combine, partition

KEY = jax.random.key(0)


@pytest.mark.parametrize("dim", [1, 2, 5, 21])
def test_linear_is_the_matrix_and_its_inverse(dim):
    matrix = np.random.default_rng(dim).normal(size=(dim, dim))
    z = np.random.default_rng(0).normal(size=(30, dim))
    with jax.enable_x64(True):
        linear = Linear(matrix)
        x, log_det = linear.to_data_rows(jnp.asarray(z))
        back, back_log_det = linear.to_base_rows(x)
        np.testing.assert_allclose(x, z @ matrix.T, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(back, z, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(log_det, np.full(30, np.linalg.slogdet(matrix)[1]), rtol=1e-10)
        np.testing.assert_allclose(back_log_det, -log_det)
        np.testing.assert_allclose(linear.inverse_matrix(), np.linalg.inv(matrix), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(linear.to_data(jnp.asarray(z[0]))[0], x[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("dim", [1, 2, 21])
def test_a_mixer_obeys_the_laws(dim, dtype):
    laws.check_bijection(Linear.mixing(KEY, dim), dtype=dtype)


@pytest.mark.parametrize(
    "scales", [(1e-12, 1.0, 1e12), (1e-30, 1e-30, 1e-30), (1e30, 1e30, 1e30)], ids=["apart", "small", "large"]
)
def test_scales_alone_do_not_make_a_matrix_singular(scales):
    linear = Linear(np.diag(scales).astype(np.float32))
    x, log_det = linear.to_data(jnp.ones(3))
    np.testing.assert_allclose(x, scales, rtol=1e-5)
    np.testing.assert_allclose(log_det, np.sum(np.log(scales)), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_any_real_numbers_in_the_triangles_are_an_invertible_matrix(seed):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        trained, rest = partition(Linear.mixing(KEY, 4, dtype="float64"))
        linear = combine(jax.tree.map(lambda leaf: jnp.asarray(3 * rng.normal(size=leaf.shape)), trained), rest)
        z = rng.normal(size=(7, 4))
        inverse = np.asarray(linear.inverse_matrix())
        x, log_det = linear.to_data_rows(jnp.asarray(z))
        np.testing.assert_allclose(np.asarray(x) @ inverse.T, z, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_det, np.full(7, -np.linalg.slogdet(inverse)[1]), rtol=1e-9)


def test_permutation_and_signs_are_not_trained():
    trained, rest = partition(Linear([[0.0, 2.0], [-0.5, 1.0]]))
    assert [leaf.shape for leaf in jax.tree.leaves(trained)] == [(2, 2)]
    assert sorted(str(leaf.dtype) for leaf in jax.tree.leaves(rest)) == ["int32", "int32"]


def test_mixers_are_made_under_vmap_and_jit_and_stacked():
    @jax.jit
    def layers(key):
        def layer(key):
            return Chain([Autoregressive(key, 3, hidden=(6,)), Linear.mixing(key, 3)])

        return Stack(jax.vmap(layer)(jax.random.split(key, 4)), 4)

    stack = layers(KEY)
    orders = {tuple(layer.members[1].permutation.tolist()) for layer in stack.unstacked()}
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert len(orders) > 1
    x = jax.random.normal(KEY, (5, 3))
    np.testing.assert_allclose(stack.to_data_rows(stack.to_base_rows(x)[0])[0], x, rtol=1e-5, atol=1e-5)
    first = Linear.mixing(jax.random.split(KEY, 4)[0], 3)
    np.testing.assert_array_equal(stack.unstacked()[0].members[1].permutation, first.permutation)


def test_linear_differentiates_in_both_modes():
    with jax.enable_x64(True):
        linear = Linear(np.array([[0.3, 2.0], [-0.5, 1.0]]))
        triangles, rest = partition(linear)

        def both(triangles, rows):
            made = combine(triangles, rest)
            return made.to_data_rows(rows), made.to_base_rows(rows)

        check_grads(both, (triangles, jnp.ones((3, 2))), order=2, modes=("fwd", "rev"))


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[1.0, 2.0]], ["square", "(1, 2)"]),
        ([1.0, 2.0], ["square", "(2,)"]),
        (np.zeros((0, 0)), ["square", "(0, 0)"]),
        (np.zeros((2, 2, 2)), ["square", "(2, 2, 2)"]),
        ([[1.0, 2.0], [2.0, 4.0]], ["singular", "condition", "inf"]),
        ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], ["singular", "condition"]),
        (np.array([[1.0, 1.0], [1.0, 1.0 + 1e-9]]), ["singular to float32", "condition"]),
        (np.zeros((2, 2)), ["singular"]),
        ([[1.0, np.nan], [0.0, 1.0]], ["finite", "nan"]),
        ([[np.inf, 0.0], [0.0, 1.0]], ["finite", "inf"]),
        (1e-100 * np.eye(2), ["range of float32"]),
        (1e100 * np.eye(2), ["range of float32"]),
        ([["a", "b"], ["c", "d"]], ["real numbers", "U1"]),
        ([[1.0, 2.0], [3.0]], ["square", "lengths"]),
        (np.eye(2) * 1j, ["real", "complex128"]),
    ],
)
def test_a_matrix_that_cannot_be_is_named(matrix, words):
    with pytest.raises(ArgumentError) as caught:
        Linear(matrix)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_traced_matrix_and_a_key_that_is_none_are_named():
    with pytest.raises(ArgumentError, match="traced"):
        jax.jit(lambda matrix: Linear(matrix).to_base(jnp.ones(2)))(jnp.eye(2))
    with pytest.raises(KeyTypeError):
        Linear.mixing(0, 2)
    with pytest.raises(ArgumentError, match="dim"):
        Linear.mixing(KEY, 0)


def test_integers_and_lists_are_taken_in_the_default_float():
    assert Linear([[2, 0], [0, 1]]).triangles.dtype == jnp.float32
    with jax.enable_x64(True):
        assert Linear([[2, 0], [0, 1]]).triangles.dtype == jnp.float64
        assert Linear(np.eye(2, dtype=np.float32)).triangles.dtype == jnp.float32
        assert Linear.mixing(KEY, 2, dtype="float32").triangles.dtype == jnp.float32


def test_the_log_normal_density():
    flow = Flow(Chain([Exp(1), Elementwise([0.5], [2.0])]), bases.Normal(1))
    x = np.array([[0.1], [1.0], [30.0]])
    np.testing.assert_allclose(flow.log_prob(x), scipy.stats.lognorm(2.0, scale=np.exp(0.5)).logpdf(x[:, 0]), rtol=1e-5)
    assert np.all(np.asarray(flow.log_prob(np.array([[0.0], [-1.0]]))) == -np.inf)
    with pytest.raises(ArgumentError, match="dim"):
        Exp(0)


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(3)
    return np.column_stack([rng.normal(50.0, 0.01, 600), rng.gamma(2.0, 1e4, 600)])


def test_act_norm_is_set_to_mean_zero_and_deviation_one(x):
    rows = jnp.asarray(x, jnp.float32)
    layer = ActNorm(2).initialise(rows)
    z = np.asarray(layer.to_base_rows(rows)[0])
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=1e-3)
    assert (ActNorm(2).needs_data, layer.needs_data) == (True, False)
    assert layer.initialise(rows * 7) is layer


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e30, 1e-30])
def test_a_column_of_one_value_is_not_blown_up(value):
    layer = ActNorm(1).initialise(jnp.full((1000, 1), value))
    z, log_det = layer.to_base(jnp.array([value]))
    assert abs(float(z[0])) < 1e-3
    np.testing.assert_allclose(log_det, -np.log(abs(value) or 1.0), rtol=1e-5, atol=1e-5)


def act_normed(key, depth=3):
    def layer(key):
        return Chain([ActNorm(2), Autoregressive(key, 2, hidden=(8,), start="random"), Linear.mixing(key, 2)])

    return Flow(Stack.of([layer(key) for key in jax.random.split(key, depth)]), bases.Normal(2))


def test_a_fit_sets_act_norms_through_stack_and_chain_once(x):
    flow, _ = training.fit(act_normed(KEY), KEY, x, max_epochs=1, learning_rate=1e-9)
    assert not flow.bijection.needs_data
    z, _ = flow.scaling.value.to_base_rows(jnp.asarray(x, jnp.float32))
    for layer in flow.bijection.unstacked():
        seen = np.asarray(layer.members[0].to_base_rows(z)[0])
        np.testing.assert_allclose(seen.mean(axis=0), 0.0, atol=0.2)  # set from the rows that were not held out
        np.testing.assert_allclose(seen.std(axis=0), 1.0, rtol=0.2)
        z, _ = layer.to_base_rows(z)
    before = np.array(flow.bijection.layers.members[0].log_scale)
    again, _ = training.fit(flow, KEY, x * [1.0, 5.0], max_epochs=1, learning_rate=1e-9)
    np.testing.assert_allclose(again.bijection.layers.members[0].log_scale, before, atol=1e-5)


def test_act_norms_are_set_from_rows_of_the_whole_table_by_weight():
    rng = np.random.default_rng(0)
    ordered = np.sort(rng.normal(size=9000))[:, None]  # the first rows are no fair sample
    flow = Flow(Chain([ActNorm(1)]), bases.Normal(1))
    fitted, _ = training.fit(flow, KEY, ordered, max_epochs=1, learning_rate=1e-9, validation=0)
    assert abs(float(fitted.bijection.members[0].shift[0])) < 0.1
    assert abs(float(fitted.bijection.members[0].log_scale[0])) < 0.1
    halves = np.concatenate([np.full(300, -1.0), np.full(300, 1.0)])[:, None] + 0.01 * rng.normal(size=(600, 1))
    weight = np.concatenate([np.full(300, 1e-12), np.ones(300)])
    fitted, _ = training.fit(flow, KEY, halves, sample_weight=weight, max_epochs=1, learning_rate=1e-9, validation=0)
    np.testing.assert_allclose(fitted.bijection.members[0].shift, 0.0, atol=0.3)
