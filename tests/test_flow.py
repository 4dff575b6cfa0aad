"""The public contract of `Flow` and the recipes: shapes, contexts, keys, precision, named errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from densiflow import Flow, bases, bijections, recipes, rows
from densiflow.errors import ArgumentError, ContextError, KeyTypeError, PrecisionError, ShapeError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def plain():
    return recipes.maf(KEY, dim=3, layers=2, hidden=(8,), start="random")


@pytest.fixture(scope="module")
def conditional():
    return recipes.maf(KEY, dim=3, context_dim=2, layers=2, hidden=(8,), start="random")


@pytest.mark.parametrize(
    ("x", "context", "result"),
    [((3,), (2,), ()), ((7, 3), (2,), (7,)), ((3,), (7, 2), (7,)), ((7, 3), (7, 2), (7,)), ((4, 1, 3), (7, 2), (4, 7))],
)
def test_leading_axes_broadcast_as_in_numpy(conditional, x, context, result):
    x, context = np.full(x, 0.3), np.full(context, -0.2)
    assert conditional.log_prob(x, context).shape == result
    z, log_det = conditional.to_base(x, context)
    assert z.shape == (*result, 3)
    assert log_det.shape == result


def test_samples_of_a_context_have_their_density(conditional):
    contexts = np.linspace(-1, 1, 8).reshape(4, 2)
    assert conditional.sample(KEY, 5, contexts[0]).shape == (5, 3)
    samples = conditional.sample(KEY, 5, contexts)
    assert samples.shape == (5, 4, 3)
    assert conditional.log_prob(samples, contexts).shape == (5, 4)
    again, log_prob = conditional.sample_and_log_prob(KEY, 5, contexts)
    assert np.array_equal(samples, again)
    np.testing.assert_allclose(log_prob, conditional.log_prob(samples, contexts), atol=1e-4)


def test_a_row_drawn_depends_on_its_place_alone(plain):
    many = plain.sample(KEY, 5000)
    for n in (1, 10, 70, 300):
        assert np.array_equal(plain.sample(KEY, n), many[:n])
    places = np.array([4000, 7, 7])
    assert np.array_equal(plain.sample(KEY, 3, start=places), many[places])
    with pytest.raises(ShapeError, match=r"places of 2 samples, got an array \(3,\)"):
        plain.sample(KEY, 2, start=places)


def test_a_score_is_the_same_in_any_batch(plain):
    x = np.random.default_rng(0).normal(size=(5000, 3))
    scores = np.asarray(plain.log_prob(x))
    for n in (1, 2, 63, 64):
        assert np.array_equal(plain.log_prob(x[:n]), plain.log_prob(x[:64])[:n])
    for n in (65, 300, 4097):
        np.testing.assert_allclose(plain.log_prob(x[:n]), scores[:n], rtol=1e-5)


def test_an_empty_batch_gives_an_empty_result(plain):
    assert plain.log_prob(np.zeros((0, 3))).shape == (0,)
    assert plain.sample(KEY, 0).shape == (0, 3)


@pytest.fixture
def compiled():
    """The programs that the backend compiles from here on, small operations included, by name."""
    names = []

    def listen(event, seconds, **said):
        if "backend_compile" in event:
            names.append(said.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.clear_event_listeners()


def test_the_listener_hears_small_operations(compiled):
    jnp.arange(4567).reshape(1, 4567).sum(axis=0)
    assert len(compiled) > 1


def test_500_tables_of_different_lengths_compile_a_few_programs(compiled):
    flow = recipes.maf(KEY, dim=5, layers=1, hidden=(64,))
    compiled.clear()
    lengths = np.random.default_rng(0).permutation(np.arange(1, 5001))[:500]
    x = np.zeros((5000, 5), np.float32)
    for n in [1, 5000, *lengths]:
        flow.log_prob(x[:n])
        flow.log_prob(x[:n, None])
    assert 5 <= len(compiled) <= 8, compiled
    assert set(compiled) == {"jit(_log_prob)"}


def test_samples_of_many_lengths_compile_a_few_programs(compiled):
    flow = recipes.maf(KEY, dim=3, context_dim=2, layers=1, hidden=(32,))
    compiled.clear()
    for n in (1, 2, 64, 65, 200, 900, 1025, 2000, 4000, 4999):
        flow.sample(KEY, n, np.zeros(2))
    assert len(compiled) <= 6, compiled


def test_a_longer_batch_compiles_one_program_whatever_its_length(compiled):
    flow = recipes.maf(KEY, dim=7, layers=1, hidden=(16,))
    longest = rows.sizes_for(flow)[-1]
    compiled.clear()
    for n in (longest, 2 * longest - 1, 5 * longest - 3):
        assert flow.log_prob(np.zeros((n, 7), np.float32)).shape == (n,)
    assert compiled == ["jit(_log_prob)"]


def test_pieces_are_put_together_in_order(plain):
    n = 2 * rows.sizes_for(plain)[-1] + 17
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    z, log_det = plain.to_base(x)
    reference = jax.jit(jax.vmap(plain.bijection.to_base))(x)  # the scalings are the identity still
    np.testing.assert_allclose(z, reference[0], atol=1e-4)
    np.testing.assert_allclose(log_det, reference[1], atol=1e-4)


@pytest.mark.parametrize("widest", [1, 100, 512, 4096])
def test_a_piece_is_the_smallest_program_that_does(widest):
    sizes = rows.sizes_for({"weight": np.zeros((widest, 2)), "order": np.zeros(3, np.int32)})
    assert sizes[0] == 64
    assert widest <= 1024 or sizes[-1] == rows.STEP
    for n in [*range(1, 1500, 7), 5000, 10_000, 123_457]:
        size = rows.piece(n, sizes)
        assert size in sizes
        assert -(-n // size) == -(-n // sizes[-1])  # as few pieces as the longest would make
        smaller = [other for other in sizes if other < size]
        assert not smaller or -(-n // smaller[-1]) > -(-n // sizes[-1])


def test_infinite_cells_have_no_density_and_far_rows_no_nan(plain):
    far = np.array([[np.inf, 0, 0], [0, -np.inf, 1], [3e38, 3e38, -3e38], [1e6, 0, 0], [1e18, -1e18, 1e18]])
    scores = np.asarray(plain.log_prob(far))
    assert np.all(np.isneginf(scores[:2]))
    assert not np.isnan(scores).any()


@pytest.mark.parametrize("scale", ["exp", "softplus", "sigmoid"])
def test_the_identity_start_is_the_base(scale):
    flow = recipes.maf(KEY, dim=4, layers=3, hidden=(8,), scale=scale)
    x = np.random.default_rng(0).normal(size=(20, 4))
    np.testing.assert_allclose(flow.log_prob(x), stats.norm.logpdf(x).sum(axis=1), rtol=2e-5)


def test_the_random_start_is_not():
    flow = recipes.maf(KEY, dim=2, layers=2, hidden=(32, 32), start="random")
    assert abs(float(flow.log_prob(np.ones(2))) - stats.norm.logpdf(1.0) * 2) > 1e-2


def test_by_hand_a_linear_autoregressive_flow_is_the_gaussian_it_should_be():
    # x2 = 0.5 x1 + noise, by a network without a hidden layer; oracle: scipy's multivariate normal
    layer = bijections.Autoregressive(KEY, 2, hidden=())
    weight = jnp.zeros((4, 2)).at[2, 0].set(0.5)  # outputs (shift 1, scale 1, shift 2, scale 2)
    layer = jax.tree.map(lambda leaf: weight if leaf.shape == (4, 2) else leaf, layer)
    flow = Flow(bijections.Chain([bijections.Elementwise([1.0, -1.0], [2.0, 3.0]), layer]), bases.Normal(2))
    mixing = np.diag([2.0, 3.0]) @ np.array([[1.0, 0.0], [0.5, 1.0]])
    oracle = stats.multivariate_normal([1.0, -1.0], mixing @ mixing.T)
    x = np.random.default_rng(0).normal(size=(50, 2)) * 3
    np.testing.assert_allclose(flow.log_prob(x), oracle.logpdf(x), rtol=1e-4)


def test_samples_are_differentiable_in_parameters_and_context(conditional):
    def mean(flow, context):
        x, log_prob = flow.sample_and_log_prob(KEY, 6, context)
        return jnp.mean(x) + jnp.mean(log_prob)

    by_flow, by_context = jax.grad(mean, argnums=(0, 1), allow_int=True)(conditional, jnp.array([0.1, 0.2]))
    assert np.abs(by_context).min() > 0
    weights = by_flow.bijection.layers.members[0].conditioner.weights
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in weights)


def test_inside_jit_and_vmap_the_numbers_are_the_same(conditional):
    x, context = jnp.ones((5, 3)), jnp.full((5, 2), 0.5)
    eager = conditional.log_prob(x, context)
    np.testing.assert_allclose(jax.jit(lambda f, x, c: f.log_prob(x, c))(conditional, x, context), eager, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(conditional.log_prob)(x, context), eager, rtol=1e-5)
    drawn = jax.jit(lambda key: conditional.sample(key, 4, context[0]))(KEY)
    np.testing.assert_allclose(drawn, conditional.sample(KEY, 4, context[0]), rtol=1e-4, atol=1e-5)


def test_closures_and_methods_can_be_compiled(conditional):
    x, context = np.ones((5, 3)), np.full((5, 2), 0.5)
    eager = conditional.log_prob(x, context)
    np.testing.assert_allclose(jax.jit(lambda: conditional.log_prob(x, context))(), eager, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(conditional.log_prob)(x, context), eager, rtol=1e-5)
    assert jax.jit(lambda: conditional.sample(KEY, 3, context))().shape == (3, 5, 3)
    assert jax.lax.scan(lambda total, _: (total + conditional.log_prob(x, context).sum(), None), 0.0, None, 3)[0] < 0


def test_sizes_may_be_numpy_integers():
    flow = recipes.maf(KEY, dim=np.int64(2), layers=np.int64(2), hidden=(np.int64(4),))
    assert flow.sample(KEY, np.int64(3)).shape == (3, 2)


def test_plain_jax_transformations_work_on_a_flow(plain):
    doubled = jax.tree.map(lambda leaf: leaf * 2 if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, plain)
    assert isinstance(doubled, Flow)
    ensemble = jax.vmap(lambda key: recipes.maf(key, dim=2, layers=2, hidden=(4,)))(jax.random.split(KEY, 3))
    assert jax.vmap(lambda flow: flow.log_prob(jnp.zeros(2)))(ensemble).shape == (3,)


def test_the_context_reaches_every_column_of_one_column_flows():
    flow = recipes.maf(KEY, dim=1, context_dim=1, layers=2, hidden=(4,), start="random")
    a, b = flow.log_prob(np.zeros((2, 1)), np.array([[-1.0], [1.0]]))
    assert abs(a - b) > 1e-4


def test_a_float64_flow_computes_in_float64():
    with jax.enable_x64(True):
        flow = recipes.maf(KEY, dim=2, layers=2, hidden=(8,), start="random", dtype="float64")
        x = np.random.default_rng(0).normal(size=(10, 2))
        z, _ = flow.to_base(x)
        assert flow.log_prob(x).dtype == np.float64
        np.testing.assert_allclose(flow.to_data(z)[0], x, atol=1e-12)
        narrow = recipes.maf(KEY, dim=2, layers=2, hidden=(8,), dtype="float32")
        assert narrow.log_prob(x).dtype == np.float32
    with pytest.raises(PrecisionError, match="enable_x64"):
        flow.log_prob(x)
    with pytest.raises(PrecisionError, match="enable_x64"):
        recipes.made(KEY, dim=2, dtype="float64")


def test_default_dtype_is_that_of_jax_when_called():
    assert recipes.made(KEY, dim=2, hidden=(4,)).dtype == np.float32
    with jax.enable_x64(True):
        assert recipes.made(KEY, dim=2, hidden=(4,)).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f, c: f.log_prob(np.zeros((5, 2))), ShapeError, ["(..., 3)", "(5, 2)"]),
        (lambda f, c: f.log_prob(np.zeros(())), ShapeError, ["(..., 3)"]),
        (lambda f, c: f.log_prob(np.zeros((5, 3)), np.zeros((5, 1))), ContextError, ["takes no context", "(5, 1)"]),
        (lambda f, c: c.log_prob(np.zeros((5, 3))), ContextError, ["(..., 2)", "none was given"]),
        (lambda f, c: c.log_prob(np.zeros((5, 3)), np.zeros((5, 3))), ContextError, ["(..., 2)", "(5, 3)"]),
        (lambda f, c: c.log_prob(np.zeros((5, 3)), np.zeros((4, 2))), ShapeError, ["(5, 3)", "(4, 2)"]),
        (lambda f, c: c.sample(KEY, 3), ContextError, ["none was given"]),
        (lambda f, c: f.sample(0, 3), KeyTypeError, ["jax.random.key(0)", "0"]),
        (lambda f, c: f.sample(KEY, -1), ArgumentError, ["at least 0", "-1"]),
        (lambda f, c: f.sample(KEY, 2.5), ArgumentError, ["whole number", "2.5"]),
        (lambda f, c: f.sample(jax.random.split(KEY, 3), 2), KeyTypeError, ["one JAX random key", "(3,)"]),
        (lambda f, c: recipes.maf(KEY, dim=2, bound="a"), ArgumentError, ["bound", "'a'"]),
        (lambda f, c: recipes.maf(0, dim=2), KeyTypeError, ["jax.random.key(0)"]),
        (lambda f, c: recipes.maf(KEY, dim=0), ArgumentError, ["dim", "at least 1"]),
        (lambda f, c: recipes.maf(KEY, dim=2, layers=0), ArgumentError, ["layers"]),
        (lambda f, c: recipes.maf(KEY, dim=2, hidden=8), ArgumentError, ["hidden", "8"]),
        (lambda f, c: recipes.maf(KEY, dim=2, hidden=(8, 0)), ArgumentError, ["hidden width", "0"]),
        (lambda f, c: recipes.maf(KEY, dim=2, activation="swish"), ArgumentError, ["relu", "'swish'"]),
        (lambda f, c: recipes.maf(KEY, dim=2, start="zero"), ArgumentError, ["identity", "'zero'"]),
        (lambda f, c: recipes.maf(KEY, dim=2, scale="square"), ArgumentError, ["softplus", "'square'"]),
        (lambda f, c: recipes.maf(KEY, dim=2, bound=-1.0), ArgumentError, ["bound", "-1.0"]),
        (lambda f, c: recipes.maf(KEY, dim=2, permutation="none"), ArgumentError, ["reverse", "'none'"]),
        (lambda f, c: recipes.maf(KEY, dim=2, context_layers="last"), ArgumentError, ["first", "'last'"]),
        (lambda f, c: recipes.maf(KEY, dim=2, dtype="int32"), ArgumentError, ["float32", "int32"]),
        (lambda f, c: bijections.Permute([0, 0]), ArgumentError, ["permutation", "[0, 0]"]),
        (lambda f, c: bijections.Elementwise([0.0], [-1.0]), ArgumentError, ["positive", "-1.0"]),
        (lambda f, c: bijections.Elementwise([0.0], [1.0, 1.0]), ShapeError, ["(1,)", "(2,)"]),
        (lambda f, c: bijections.Chain([]), ArgumentError, ["at least one"]),
        (lambda f, c: bijections.Stack.of([bijections.Permute([0]), bijections.Permute([0, 1])]), ArgumentError, ["1"]),
        (lambda f, c: bases.Normal(2, scale=[1.0, 0.0]), ArgumentError, ["positive"]),
        (lambda f, c: Flow(bijections.Permute([0]), bases.Normal(2)), ShapeError, ["1 and 2"]),
    ],
)
def test_mistakes_are_named(plain, conditional, call, error, words):
    with pytest.raises(error) as caught:
        call(plain, conditional)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("context", [False, True])
def test_a_one_dimensional_array_is_never_a_column(context):
    flow = recipes.made(KEY, dim=1, context_dim=1 if context else 0, hidden=(4,))
    with pytest.raises((ShapeError, ContextError), match=r"\(7, 1\)"):
        flow.log_prob(np.zeros((7, 1)), np.zeros(7)) if context else flow.log_prob(np.zeros(7))
