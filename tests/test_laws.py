"""Every law on everything registered: each class on the awkward examples it brings, and the recipes."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from densiflow import laws, recipes, registry
from densiflow.bases import Base
from densiflow.bijections import Autoregressive, Bijection
from densiflow.scalars import ScalarMap
from densiflow.spaces import POSITIVE


def examples_of(interface, *arguments):
    """Each example of each registered class of an interface, under a readable name."""
    for name, cls in registry.classes().items():
        if issubclass(cls, interface) and not inspect.isabstract(cls):
            for case, example in cls.examples(*arguments).items():
                yield pytest.param(example, id=f"{name}, {case}")


BIJECTIONS = list(examples_of(Bijection, jax.random.key(0)))
BASES = list(examples_of(Base, jax.random.key(0)))
SCALARS = list(examples_of(ScalarMap))
FLOWS = [
    pytest.param(name, dim, context_dim, id=f"{name}, {dim} columns, context of {context_dim}")
    for name in ("made", "maf")
    for dim in (1, 2, 5)
    for context_dim in (0, 2)
]


@pytest.mark.parametrize("bijection", BIJECTIONS)
def test_bijection(bijection):
    laws.check_bijection(bijection)


class Asinh(Bijection):
    """A stranger's bijection that is right, and whose way to data overflows far out."""

    dim: int = eqx.field(static=True, default=2)
    context_dim: int = eqx.field(static=True, default=0)

    def to_base(self, x, context=None):
        return jnp.arcsinh(x), -0.5 * jnp.sum(jnp.log1p(x**2))

    def to_data(self, z, context=None):
        return jnp.sinh(z), jnp.sum(jnp.log(jnp.cosh(z)))


class Exponential(Asinh):
    """Another, onto the positive half only."""

    @property
    def domain(self):
        return POSITIVE

    def to_base(self, x, context=None):
        return jnp.log(x), -jnp.sum(jnp.log(x))

    def to_data(self, z, context=None):
        return jnp.exp(z), jnp.sum(z)


@pytest.mark.parametrize("cls", [Asinh, Exponential])
def test_right_bijections_of_strangers_pass(cls):
    laws.check_bijection(cls())


@pytest.mark.parametrize("scalar", SCALARS)
def test_scalar_map(scalar):
    key = jax.random.key(1)
    options = {"hidden": (6,), "activation": "tanh", "scalar": scalar, "start": "random"}
    laws.check_bijection(Autoregressive(key, 2, 1, **options))


@pytest.mark.parametrize("base", BASES)
def test_base(base):
    laws.check_base(base)


@pytest.mark.parametrize(("name", "dim", "context_dim"), FLOWS)
def test_recipe(name, dim, context_dim):
    options = {"layers": 2, "start": "random"} if name == "maf" else {}
    flow = getattr(recipes, name)(jax.random.key(2), dim=dim, context_dim=context_dim, hidden=(8, 8), **options)
    laws.check_flow(flow)


@pytest.mark.parametrize("bijection", [case for case in BIJECTIONS if case.id.startswith(("Elementwise", "Chain"))])
def test_bijection_in_float32(bijection):
    laws.check_bijection(bijection, dtype="float32")


@pytest.mark.parametrize("base", BASES)
def test_base_in_float32(base):
    laws.check_base(base, dtype="float32")


@pytest.mark.parametrize(("name", "dim", "context_dim"), FLOWS[9:10])
def test_recipe_in_float32(name, dim, context_dim):
    flow = getattr(recipes, name)(jax.random.key(3), dim=dim, context_dim=context_dim, hidden=(8, 8), start="random")
    laws.check_flow(flow, dtype="float32")
