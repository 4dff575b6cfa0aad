"""Recipes: what each is by its formula, what all of them share, and the errors that name a mistake."""

import importlib.util
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from densiflow import Flow, recipes, training
from densiflow.bases import AutoregressiveMixture, Mixture, MultivariateNormal, Normal, StudentT, Uniform
from densiflow.bijections import Autoregressive, Chain, Coupling, Elementwise, Exp, Inverse, Stack
from densiflow.errors import ArgumentError, ContextError, KeyTypeError, ShapeError
from densiflow.fixed import partition
from densiflow.laws.trial import moved
from densiflow.networks import MLP

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
NAMES = sorted(recipes.RECIPES)
COUPLING = [name for name in NAMES if recipes.DECLARATIONS[name].least_dim > 1]
CONTRACT = {
    "made",
    "made_mog",
    "maf",
    "maf_mog",
    "iaf",
    "planar",
    "nice",
    "real_nvp",
    "neural_spline",
    "coupling_spline",
}


def built(name, dim=3, **options):
    """A small flow of that recipe."""
    if name not in ("made", "made_mog"):
        options = {"layers": 2, **options}
    return recipes.RECIPES[name](KEY, dim=dim, **{"hidden": (6,), **options})


def test_the_recipes_are_those_of_the_contract():
    assert set(NAMES) == CONTRACT == set(recipes.DECLARATIONS)
    assert set(recipes.__all__) == {*CONTRACT, "DECLARATIONS", "RECIPES", "Recipe"}


def test_the_page_of_flows_is_made_from_the_declarations():
    path = Path(__file__).parents[1] / "docs" / "flows.py"
    spec = importlib.util.spec_from_file_location("flows_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert path.with_suffix(".md").read_text() == module.page(), "run: python docs/flows.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_untrained_flow_is_its_base(name):
    flow = built(name)
    x = jnp.asarray(RNG.normal(size=(20, 3)) * 2, jnp.float32)
    np.testing.assert_allclose(flow.log_prob(x), jax.vmap(flow.base.log_prob)(_unshuffled(flow, x)), atol=2e-5)
    if name != "maf_mog":
        np.testing.assert_allclose(flow.log_prob(x), stats.norm.logpdf(x).sum(axis=1), atol=2e-5)


def _unshuffled(flow, x):
    return flow.to_base(x)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_random_start_is_not_its_base(name):
    flow = built(name, start="random")
    z, log_det = flow.to_base(jnp.asarray(RNG.normal(size=(20, 3)), jnp.float32))
    assert np.ptp(np.asarray(z if name == "nice" else log_det)) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_an_embedding_stands_between_the_context_and_the_layers(name):
    flow = built(name, context_dim=2, embedding=(5, 3), start="random")
    assert (flow.context_dim, flow.bijection.context_dim) == (2, 3)
    given = jnp.array([0.3, -0.4])
    x = jnp.ones(3)
    by_context = jax.grad(lambda c: flow.log_prob(x, c))(given)
    assert np.all(by_context != 0)
    trained, _ = partition(flow)
    assert trained.embedding.weights[0] is not None
    bare = Flow(flow.bijection, flow.base)
    np.testing.assert_allclose(bare.log_prob(x, flow.embedding(given)), flow.log_prob(x, given), rtol=1e-6)


def test_widths_may_be_an_array():
    flow = built("maf", context_dim=2, hidden=np.array([6, 4]), embedding=np.array([5, 3]))
    assert [len(biases) for biases in flow.embedding.biases] == [5, 3]


def test_an_additive_coupling_flow_changes_volume_by_its_scales_alone():
    flow = moved(built("nice", layers=5, start="random"), KEY, size=0.5)
    _, log_det = flow.to_base(jnp.asarray(RNG.normal(size=(10, 3)), jnp.float32))
    scaling = flow.bijection.members[-1]
    assert scaling.shift is None
    np.testing.assert_allclose(log_det, -np.sum(scaling.log_scale), rtol=1e-6)
    assert abs(float(log_det[0])) > 0.1


@pytest.mark.parametrize("dim", [2, 3, 5])
@pytest.mark.parametrize("layers", [2, 3, 4])
def test_alternating_partitions_map_every_column_for_any_d(dim, layers):
    for d in range(1, dim):
        flow = recipes.real_nvp(KEY, dim=dim, layers=layers, passing=d, hidden=(4,), activation="tanh", start="random")
        jacobian = jax.jacobian(lambda x, flow=flow: flow.to_base(x)[0])(jnp.full(dim, 0.3))
        assert np.all(np.diagonal(jacobian) != 1)
        again = flow.to_data(flow.to_base(jnp.full(dim, 0.3))[0])[0]
        np.testing.assert_allclose(again, 0.3, atol=1e-5)


def test_any_partition_can_pass():
    flow = built("real_nvp", dim=5, passing=(1, 4), layers=1, start="random")
    x = jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32)
    z, _ = flow.to_base(x)
    assert [bool(np.array_equal(z[:, i], x[:, i])) for i in range(5)] == [False, True, False, False, True]


@pytest.mark.parametrize("permutation", ["random", "lu"])
@pytest.mark.parametrize("name", ["maf", "neural_spline", "real_nvp", "coupling_spline"])
def test_mixers_between_layers(name, permutation):
    flow = built(name, dim=4, layers=4, permutation=permutation, start="random")
    x = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)
    np.testing.assert_allclose(flow.to_data(flow.to_base(x)[0])[0], x, atol=2e-4)
    trained = len(jax.tree.leaves(partition(flow)[0]))
    plain = len(jax.tree.leaves(partition(built(name, dim=4, layers=4, start="random"))[0]))
    assert (trained > plain) == (permutation == "lu" and name in ("maf", "neural_spline"))


@pytest.mark.parametrize(("order", "triangle"), [(None, np.tril), ([3, 2, 1, 0], np.triu)])
def test_either_triangle(order, triangle):
    flow = recipes.made(KEY, dim=4, hidden=(12,), activation="tanh", order=order, start="random")
    jacobian = np.asarray(jax.jacobian(lambda x: flow.to_base(x)[0])(jnp.full(4, 0.2)))
    assert np.array_equal(jacobian, triangle(jacobian))
    assert np.count_nonzero(jacobian) == 10


def test_sampling_step_by_step_is_to_data():
    """The Gaussian autoregressive model: each column from its mean and scale given the columns drawn already."""
    flow = recipes.made(KEY, dim=4, hidden=(12,), activation="tanh", start="random")
    layer = flow.bijection.unstacked()[0].members[0]
    z = RNG.normal(size=4).astype(np.float32)
    x = np.zeros(4, np.float32)
    for i in range(4):
        mean, a = layer.conditioner(jnp.asarray(x))[i]
        x[i] = mean + np.exp(3 * np.tanh(a / 3)) * z[i]
    np.testing.assert_allclose(flow.to_data(z)[0], x, rtol=1e-5)


def test_an_iaf_is_a_maf_read_the_other_way():
    maf, iaf = built("maf", start="random"), built("iaf", start="random")
    z = jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32)
    assert isinstance(iaf.bijection, Inverse)
    np.testing.assert_allclose(iaf.to_data(z)[0], maf.to_base(z)[0], rtol=1e-6)


def test_maf_mog_stops_at_the_space_of_its_mixture():
    flow = built("maf_mog", context_dim=2, start="random")
    assert isinstance(flow.base, AutoregressiveMixture)
    assert flow.base.context_dim == 2
    x, c = jnp.ones((4, 3)), jnp.ones((4, 2))
    z, log_det = flow.to_base(x, c)
    np.testing.assert_allclose(flow.log_prob(x, c), jax.vmap(flow.base.log_prob)(z, c) + log_det, rtol=1e-5)


BASES = {
    "normal": Normal(2, [1.0, 0.0], [2.0, 0.5]),
    "full": MultivariateNormal([0.0, 1.0], [[2.0, 0.7], [0.7, 1.0]]),
    "uniform": Uniform([-4.0, -4.0], [4.0, 4.0]),
    "student": StudentT(2, 5.0),
    "mixture": Mixture(KEY, 2, 3),
    "autoregressive mixture": AutoregressiveMixture(KEY, 2, components=3, hidden=(4,)),
}


@pytest.mark.parametrize("base", BASES.values(), ids=BASES.keys())
def test_any_base_stands_under_a_recipe(base):
    flow = built("planar", dim=2, base=base, start="random")
    x, log_prob = flow.sample_and_log_prob(jax.random.key(1), 50)
    again = flow.log_prob(x)
    assert np.mean(np.isclose(log_prob, again, atol=1e-3)) > 0.9  # a row on the box's edge may round out of it
    assert np.isfinite(log_prob).all()


@pytest.mark.parametrize("name", ["neural_spline", "made_mog", "maf_mog"])
def test_one_column_of_two_modes_given_its_context(name):
    """An affine flow stays a bell; these do not: p(x | c) is two bells at -c and c."""
    rng = np.random.default_rng(1)
    c = rng.uniform(0.5, 2.5, (3000, 1))
    x = rng.choice([-1, 1], (3000, 1)) * c + 0.2 * rng.normal(size=(3000, 1))
    options = {} if name == "made_mog" else {"layers": 2}
    flow = recipes.RECIPES[name](KEY, dim=1, context_dim=1, hidden=(32, 32), activation="tanh", **options)
    flow, _ = training.fit(flow, KEY, x, c, max_epochs=40, patience=None, batch_size=64, learning_rate=3e-3)
    truth = np.mean(np.log(0.5 * stats.norm.pdf(x, c, 0.2) + 0.5 * stats.norm.pdf(x, -c, 0.2)))
    assert np.mean(flow.log_prob(x, c)) > truth - 0.1
    bell = np.mean(stats.norm.logpdf(x, 0, np.sqrt(c**2 + 0.04)))
    assert truth - bell > 0.8  # what no bell can reach


MISTAKES = {
    "an int as key": (lambda: recipes.maf(0, dim=2), KeyTypeError, "expected one JAX random key"),
    "no column": (lambda: recipes.planar(KEY, dim=0), ArgumentError, "dim must be a whole number of at least 1, got 0"),
    "no layer": (lambda: recipes.maf(KEY, dim=2, layers=0), ArgumentError, "layers must be"),
    "a width alone": (lambda: recipes.maf(KEY, dim=2, hidden=64), ArgumentError, "hidden must be a sequence of widths"),
    "a width of zero": (lambda: recipes.nice(KEY, dim=2, hidden=(4, 0)), ArgumentError, "every hidden width"),
    "an unknown mixer": (
        lambda: recipes.maf(KEY, dim=2, permutation="alternate"),
        ArgumentError,
        "permutation must be one of reverse, random, lu, got 'alternate'",
    ),
    "an unknown activation": (lambda: recipes.real_nvp(KEY, dim=2, activation="sin"), ArgumentError, "activation must"),
    "an order that is none": (
        lambda: recipes.maf(KEY, dim=3, order=[0, 1, 1]),
        ArgumentError,
        r"a permutation holds each of 0 .. 2 once, got \[0, 1, 1\]",
    ),
    "an order too short": (lambda: recipes.maf(KEY, dim=3, order=[1, 0]), ArgumentError, "each of 0 .. 2 once"),
    "all columns pass": (lambda: recipes.nice(KEY, dim=3, passing=3), ArgumentError, "passing must name from 1 to 2"),
    "a column that is none": (lambda: Coupling(KEY, 3, passing=(0, 5)), ArgumentError, "passing must name from 1 to 2"),
    "an embedding of nothing": (
        lambda: recipes.maf(KEY, dim=2, embedding=(4,)),
        ArgumentError,
        "an embedding is of a context: give context_dim",
    ),
    "a base of another width": (
        lambda: recipes.maf(KEY, dim=3, base=Normal(2)),
        ShapeError,
        "bijection and base must have the same dim, got 3 and 2",
    ),
    "a base of one's own under maf_mog": (
        lambda: recipes.maf_mog(KEY, dim=2, base=Normal(2)),
        ArgumentError,
        "maf_mog makes its own base",
    ),
    "a base that can't be reached": (
        lambda: Flow(Inverse(Exp(1)), Normal(1)),
        ArgumentError,
        "the base lives on real, but the bijection only reaches positive",
    ),
    "a box that can't be reached": (
        lambda: Flow(Inverse(Exp(2)), Uniform([0.5, -1.0], [2.0, 2.0])),
        ArgumentError,
        "but the bijection only reaches positive",
    ),
    "a chain whose members do not meet": (
        lambda: Chain([Elementwise([0.0], [2.0]), Exp(1)]),
        ArgumentError,
        r"member 0 of the chain \(Elementwise\) lands on real rows, but member 1 \(Exp\) takes positive ones",
    ),
    "a stack whose layers do not meet": (
        lambda: Stack(Exp(1), 2),
        ArgumentError,
        r"a layer of the stack \(Exp\) lands on real rows, but the next one \(Exp\) takes positive ones",
    ),
    "bijection and base of different contexts": (
        lambda: Flow(Autoregressive(KEY, 2, 3, hidden=(4,)), AutoregressiveMixture(KEY, 2, 1, hidden=(4,))),
        ContextError,
        r"must take the same context, got widths \[1, 3\]",
    ),
    "an embedding of another width": (
        lambda: Flow(Autoregressive(KEY, 2, 3, hidden=(4,)), Normal(2), MLP(KEY, 4, 2)),
        ContextError,
        "the embedding gives 2 numbers, but bijection and base take a context of width 3",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", COUPLING)
def test_coupling_needs_two_columns(name):
    with pytest.raises(ArgumentError, match=r"a coupling layer needs at least 2 columns.*got dim=1"):
        built(name, dim=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_context_of_the_wrong_width_is_named(name):
    with pytest.raises(ContextError, match=r"context must have shape \(..., 2\), got \(3,\)"):
        built(name, context_dim=2).log_prob(jnp.zeros(3), jnp.zeros(3))


def test_an_activation_norm_is_set_once_from_the_training_rows():
    x = RNG.normal(3.0, 5.0, (400, 2))
    flow = recipes.maf(KEY, dim=2, layers=2, hidden=(8,), act_norm=True, start="random")
    fitted, _ = training.fit(flow, KEY, x, max_epochs=1, patience=None)
    assert flow.bijection.needs_data
    assert not fitted.bijection.needs_data
    again, _ = training.fit(fitted, KEY, x, max_epochs=1, patience=None, learning_rate=1e-12)
    norms = [f.bijection.layers.members[0].shift for f in (fitted, again)]
    np.testing.assert_allclose(*norms, atol=1e-5)


def test_mixture_components_part_in_training_though_the_untrained_flow_is_normal():
    x = RNG.normal(size=(300, 1))
    fitted, _ = training.fit(built("made_mog", dim=1), KEY, x, max_epochs=1, patience=None)
    layer = fitted.bijection.unstacked()[0].members[0]
    means = np.asarray(layer.conditioner.biases[-1])[10:20]
    assert len(np.unique(means)) == 10


def test_planar_layers_stay_invertible_whatever_their_numbers():
    for size in (1.0, 30.0, 1e3):
        flow = moved(built("planar", layers=3), KEY, size=size)
        layer = flow.bijection.layers
        for t in range(3):
            one = jax.tree.map(lambda leaf, t=t: leaf[t], layer)
            *_, reach = one._numbers(None)
            assert reach > -1
        log_det = flow.to_data(jnp.asarray(RNG.normal(size=(50, 3)), jnp.float32))[1]
        assert np.isfinite(log_det).all()


def test_a_file_without_an_embedding_field_is_read(tmp_path):
    """Files of the first version know no embedding."""
    import json

    from densiflow import files

    flow = built("maf", start="random")
    node = files._encode(flow, "", tensors := {})
    assert node["fields"].pop("embedding") == {"value": None}
    again = files._decode(json.loads(json.dumps(node)), tensors)
    assert eqx.tree_equal(again, flow) is not False
    assert again.embedding is None
