"""Every law on everything registered: each class on the awkward examples it brings, and the recipes.

`make laws` tries the whole matrix (``--matrix full``), `make test` a part of it: in float64 up to three examples of
each class and each recipe with 1, 2 and 5 columns, in float32 one example of each bijection and base, and each recipe
once.
"""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import laws, networks, recipes, registry
from densiflow.bases import Base, Mixture, MultivariateNormal, Uniform
from densiflow.bijections import Autoregressive, Bijection, Chain, Coupling, Elementwise, Exp, Inverse, Permute
from densiflow.errors import ArgumentError
from densiflow.flow import Flow
from densiflow.laws.column import broken_by
from densiflow.networks.conditioner import AutoregressiveConditioner
from densiflow.scalars import Affine, ScalarMap, Shift
from densiflow.spaces import POSITIVE
from densiflow.table import examples
from densiflow.table.kinds import KINDS

KEY = jax.random.key(0)
DIMS = (1, 2, 5, 21)
CONTEXTS = (0, 2)
PART = {"float64": ((1, 2), (2, 0), (5, 2)), "float32": ((2, 2),)}  # (columns, width of the context)
SMALL = {"hidden": (8, 8), "layers": 2, "components": 3, "bins": 4, "start": "random"}


def examples_of(interface, *arguments):
    """Each example of each registered class of an interface, by name and by its name there."""
    for name, cls in registry.classes().items():
        if issubclass(cls, interface) and not inspect.isabstract(cls):
            for case, example in cls.examples(*arguments).items():
                yield name, case, example


def conditioners():
    """Each example of each network that an autoregressive layer can hold; a coupling layer holds the others."""
    for name in networks.__all__:
        for case, example in getattr(networks, name).examples(KEY).items():
            if isinstance(example, AutoregressiveConditioner):
                yield name, case, example


def given(cases, dtypes):
    return [
        pytest.param(example, dtype, id=f"{name}, {case}, {dtype}") for name, case, example in cases for dtype in dtypes
    ]


def one_of_each(cases):
    """The last example of each class."""
    return list({name: (name, case, example) for name, case, example in cases}.values())


def few_of_each(cases):
    """The first two and the last example of each class."""
    by_class = {}
    for name, case, example in cases:
        by_class.setdefault(name, []).append((name, case, example))
    return [case for found in by_class.values() for case in (found if len(found) <= 3 else [*found[:2], found[-1]])]


def none(cases):
    return []


def recipes_tried(is_full):
    for name, recipe in recipes.RECIPES.items():
        for dtype, part in PART.items():
            for dim, width in [(dim, width) for dim in DIMS for width in CONTEXTS] if is_full else part:
                yield pytest.param(recipe, dim, width, dtype, id=f"{name}, {dim} columns, context {width}, {dtype}")


def pytest_generate_tests(metafunc):
    is_full = metafunc.config.getoption("--matrix") == "full"
    if metafunc.function is test_recipe:
        metafunc.parametrize(("recipe", "dim", "context_dim", "dtype"), list(recipes_tried(is_full)))
    elif metafunc.function in TRIED:
        cases_of, in_float64, in_float32 = TRIED[metafunc.function]
        cases = list(cases_of())
        if is_full:
            tried = given(cases, ("float64", "float32"))
        else:
            tried = [*given(in_float64(cases), ("float64",)), *given(in_float32(cases), ("float32",))]
        metafunc.parametrize(("example", "dtype"), tried)


def test_bijection(example, dtype):
    laws.check_bijection(example, dtype=dtype)


def test_base(example, dtype):
    laws.check_base(example, dtype=dtype)


def test_scalar_map(example, dtype):
    options = {"hidden": (6,), "activation": "tanh", "scalar": example, "start": "random"}
    laws.check_bijection(Autoregressive(jax.random.key(1), 2, 1, **options), dtype=dtype)


def test_network(example, dtype):
    scalar = {1: Shift(), 2: Affine()}[example.parameters]
    laws.check_bijection(Autoregressive.of(example, scalar), dtype=dtype)


TRIED = {  # what there is, and of it what `make test` tries in float64 and in float32
    test_bijection: (lambda: examples_of(Bijection, KEY), few_of_each, one_of_each),
    test_base: (lambda: examples_of(Base, KEY), few_of_each, one_of_each),
    test_scalar_map: (lambda: examples_of(ScalarMap), few_of_each, none),
    test_network: (conditioners, one_of_each, none),
}


def test_recipe(recipe, dim, context_dim, dtype):
    taken = inspect.signature(recipe).parameters
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    options = {name: value for name, value in SMALL.items() if name in taken or (is_open and name == "start")}
    if dim < recipes.DECLARATIONS[recipe.__name__].least_dim:
        with pytest.raises(ArgumentError, match="needs at least 2 columns"):
            recipe(jax.random.key(2), dim, context_dim, **options)
        return
    laws.check_flow(recipe(jax.random.key(2), dim, context_dim, **options), dtype=dtype)


def layer(dim, context_dim=0):
    return Autoregressive(KEY, dim, context_dim, hidden=(6,), activation="tanh", start="random")


def half(permutation):
    """A coupling layer that adds only, so that the density on a box is flat and its border moves."""
    return Chain([Coupling(KEY, 2, 1, hidden=(5,), activation="tanh", scalar=Shift(), start="random"), permutation])


BY_HAND = {
    "a scale on a box": Flow(Elementwise([1.0, 2.0], [0.5, 3.0]), Uniform([0.0, -1.0], [2.0, 5.0])),
    "an exponential of a box": Flow(Exp(2), Uniform([0.0, -1.0], [2.0, 1.0])),
    "autoregressive on a box": Flow(layer(2, 1), Uniform([0.0, -0.01], [2.0, 0.03])),
    "five columns on a cube": Flow(layer(5), Uniform(np.zeros(5), np.ones(5))),
    "six columns on a cube": Flow(layer(6), Uniform(np.zeros(6), np.ones(6))),
    "shifts on a box": Flow(Chain([half(Permute([1, 0])), half(Permute([0, 1]))]), Uniform([0.0, -1.0], [2.0, 1.0])),
    "every option of a MAF": recipes.maf(
        KEY,
        3,
        2,
        layers=2,
        hidden=(6,),
        activation="tanh",
        permutation="lu",
        order=[2, 0, 1],
        act_norm=True,
        context_layers="all",
        embedding=(5, 3),
        base=Mixture(KEY, 3, 2),
        start="random",
    ),
    "every option of couplings": recipes.real_nvp(
        KEY,
        3,
        2,
        layers=3,
        hidden=(6,),
        activation="tanh",
        passing=(1,),
        permutation="random",
        act_norm=True,
        embedding=(4, 2),
        start="random",
    ),
    "correlated columns": Flow(layer(2, 1), MultivariateNormal([0.0, -1.0], [[2.0, 1.0], [1.0, 2.0]])),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BY_HAND)
def test_flow_by_hand(name, dtype):
    laws.check_flow(BY_HAND[name], dtype=dtype)


def test_a_base_out_of_reach_is_refused_by_name():
    Flow(Inverse(Exp(2)), Uniform([0.0, 1.0], [2.0, 2.0]))
    with pytest.raises(ArgumentError, match=r"box from \[0.0, -1.0\] to \[2.0, 1.0\], .* only reaches positive"):
        Flow(Inverse(Exp(2)), Uniform([0.0, -1.0], [2.0, 1.0]))


class Asinh(Bijection):
    """A stranger's bijection that is right, and whose way to data overflows far out."""

    dim: int = eqx.field(static=True, default=2)
    context_dim: int = eqx.field(static=True, default=0)

    def to_base(self, x, context=None):
        return jnp.arcsinh(x), -0.5 * jnp.sum(jnp.log1p(x**2))

    def to_data(self, z, context=None):
        return jnp.sinh(z), jnp.sum(jnp.log(jnp.cosh(z)))


class Log(Asinh):
    """Another, onto the positive half only."""

    @property
    def domain(self):
        return POSITIVE

    def to_base(self, x, context=None):
        return jnp.log(x), -jnp.sum(jnp.log(x))

    def to_data(self, z, context=None):
        return jnp.exp(z), jnp.sum(z)


@pytest.mark.parametrize("kind", KINDS)
def test_column(kind):
    """Every kind brings awkward columns; they take no time, so all are tried."""
    assert examples.examples(kind)
    for name, column in examples.examples(kind).items():
        assert column.kind == kind, name
        assert not broken_by(column), name


def test_column_of_any_scale():
    for name, column in examples.of_scales().items():
        assert not broken_by(column), name


@pytest.mark.parametrize("cls", [Asinh, Log])
def test_right_bijections_of_strangers_pass(cls):
    laws.check_bijection(cls())
