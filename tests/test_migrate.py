"""Flows of other libraries, copied: against what the originals said, and what is refused.

The golden files hold descriptions of the originals with their densities and samples; `tests/oracles` makes them.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import golden

import densiflow
from densiflow import native
from densiflow.errors import MigrationError, PrecisionError
from densiflow.migrate import from_flowjax, from_nflows, from_tfp, from_zuko, tfp
from densiflow.migrate.build import build, copied
from densiflow.migrate.objects import named_activation
from densiflow.migrate.triangle import sorted_network

PEERS = {path.stem: golden.load(path) for path in sorted((Path(__file__).parent / "oracles" / "golden").glob("*.npz"))}
CASES = [pytest.param(peer, name, id=f"{peer}, {name}") for peer, stored in PEERS.items() for name in stored["cases"]]
CLOSE = {"float32": 1e-4, "float64": 1e-9}


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # compiles in half the time
def both_ways(flow, x, z, context):
    return flow.log_prob(x, context), flow.to_data(z, context)[0]


def worst(case, rows, description=None):
    """How far a copy is from the original at worst, in log_prob and in samples from the same base draws."""
    dtype = case["description"]["dtype"]
    with jax.enable_x64(dtype == "float64"):
        flow = build(description or case["description"])
        assert flow.dtype == dtype
        x, z, context = (jnp.asarray(rows[name], dtype) for name in ("x", "z", "context"))
        with native.derivatives("none"):  # kernels round -826 nats to another ulp; tests of their own hold them to JAX
            ours = both_ways(flow, x, z, context if case["conditional"] else None)
        theirs = case["log_prob"], case["samples"]
        return max(np.abs(np.asarray(a) - b).max() for a, b in zip(ours, theirs, strict=True))


def stored(peer, name):
    case = PEERS[peer]["cases"][name]
    return case, PEERS[peer]["rows"][str(case["dim"])]


@pytest.mark.parametrize(("peer", "name"), CASES)
def test_a_copy_agrees_with_the_original(peer, name):
    case, rows = stored(peer, name)
    assert len(case["log_prob"]) == 100
    assert worst(case, rows) < CLOSE[case["description"]["dtype"]]


def test_every_case_asked_for_is_there():
    assert set(PEERS) == {"flowjax", "nflows", "tfp", "zuko"}
    chains = [name for name in PEERS["tfp"]["cases"] if " columns, " in name]
    assert len(chains) == 3 * 2 * 3 * 2  # widths, activations, context modes, permutations


def changed(description, kind, change):
    """The description with its first step of a kind changed."""
    steps = list(description["steps"])
    k = next(k for k, step in enumerate(steps) if step["kind"] == kind)
    steps[k] = steps[k] | change(steps[k])
    return description | {"steps": steps}


def in_network(change):
    return lambda step: {"network": step["network"] | change(step["network"])}


MISTAKES = {
    "permutation the wrong way": ("permutation", lambda step: {"permutation": np.argsort(step["permutation"])}),
    "scalar map the wrong way": ("autoregression", lambda step: {"reversed_scalar": not step["reversed_scalar"]}),
    "network reads the base": ("autoregression", lambda step: {"inverted": not step["inverted"]}),
    "another bound": ("autoregression", lambda step: {"bound": 3.0}),
    "shift and scale swapped": (
        "autoregression",
        in_network(
            lambda network: {
                part: [
                    *network[part][:-1],
                    network[part][-1].reshape(5, 2, -1)[:, ::-1].reshape(network[part][-1].shape),
                ]
                for part in ("weights", "biases")
            }
        ),
    ),
    "contexts of two layers swapped": (
        "autoregression",
        in_network(
            lambda network: (
                {"context_weights": [network["context_weights"][0], *network["context_weights"][:0:-1]]}
                if len({len(matrix) for matrix in network["context_weights"][1:]}) == 1
                else {"context_weights": [0 * matrix for matrix in network["context_weights"]]}
            )
        ),
    ),
    "another activation": ("autoregression", in_network(lambda network: {"activation": "silu"})),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_notices(mistake):
    case, rows = stored("tfp", "5 columns, sigmoid, context in all layers, random")
    assert worst(case, rows, changed(case["description"], *MISTAKES[mistake])) > 1e-2


@pytest.mark.parametrize(
    ("peer", "name"),
    [("tfp", "5 columns, relu, context in all layers, random"), ("nflows", "5 columns, residual, conditional")],
)
def test_a_copy_is_saved_and_loaded(peer, name, tmp_path):
    case, rows = stored(peer, name)
    flow = build(case["description"])
    flow.save(tmp_path / "copy.densiflow")
    again = densiflow.load(tmp_path / "copy.densiflow")
    assert np.array_equal(again.log_prob(rows["x"], rows["context"]), flow.log_prob(rows["x"], rows["context"]))


def test_layers_of_one_structure_are_stacked():
    case, _ = stored("tfp", "5 columns, relu, unconditional, random")
    assert type(build(case["description"]).bijection).__name__ == "Stack"


def test_float64_needs_float64():
    case, _ = stored("tfp", "float64, tanh, a base of its own")
    with pytest.raises(PrecisionError, match="float64"):
        build(case["description"])


def test_a_copy_that_computes_something_else_is_not_handed_out():
    case, _ = stored("zuko", "2 columns, random")
    flow = build(case["description"])
    assert copied(case["description"], flow.log_prob).dim == 2
    with pytest.raises(MigrationError, match="differs"):
        copied(case["description"], lambda x, context: flow.log_prob(x) + 0.01)
    with pytest.raises(MigrationError, match="differs"):
        copied(case["description"], lambda x, context: flow.log_prob(x) * np.nan)


def test_columns_may_stand_in_any_order_but_not_in_a_circle():
    numbers = np.random.default_rng(0)
    order = numbers.permutation(4)
    mask = np.argsort(order)[:, None] > np.argsort(order)
    network = {"kind": "plain", "activation": "relu", "weights": [mask * 1.0], "biases": [np.zeros(4)],
               "context_weights": [], "context_biases": []}  # fmt: skip
    assert sorted_network(network | {"masks": [mask]}, 4, "here")[0].tolist() == order.tolist()
    with pytest.raises(MigrationError, match=r"here: .* not autoregressive"):
        sorted_network(network | {"masks": [mask | mask.T]}, 4, "here")


def test_an_activation_is_known_by_what_it_does():
    exact = partial(jax.nn.gelu, approximate=False)
    assert named_activation(exact, "", jnp.asarray) == "gelu_exact"
    assert named_activation(jax.nn.gelu, "", jnp.asarray) == "gelu"
    for unknown in (partial(jax.nn.leaky_relu, negative_slope=0.2), jax.nn.softmax, jax.nn.relu6):
        with pytest.raises(MigrationError, match="activation"):
            named_activation(unknown, "hidden", jnp.asarray)


# What can't be represented is refused by name. The stand-ins have the class names and attributes that are looked at.


class Parameter(np.ndarray):
    def new_tensor(self, numbers):
        return np.asarray(numbers, self.dtype)


PARAMETER = np.zeros(1, np.float32).view(Parameter)


def stand_in(name, *parents, **attributes):
    bases = tuple(type(parent, (), {}) for parent in parents)
    thing = type(name, bases, {})()
    for attribute, value in attributes.items():
        setattr(thing, attribute, value)
    return thing


def tfp_flow(bijector, base=None):
    row = np.zeros(2, np.float32)
    base = base or stand_in("MultivariateNormalDiag", mean=lambda: row, stddev=lambda: row + 1)
    return stand_in("TransformedDistribution", distribution=base, bijector=bijector)


def tfp_network(**changes):
    mask = np.array([[False, False, True, True], [False] * 4])  # (in, out), as TFP keeps them
    kernel = mask.astype(np.float32)
    dense = stand_in("Dense", kernel=kernel, bias=None, input=0)
    return stand_in(
        "AutoregressiveNetwork",
        **{"params": 2, "_masks": [mask], "_network": stand_in("Functional", layers=[dense], inputs=[0])} | changes,
    )


def tfp_maf(made):
    return stand_in("MaskedAutoregressiveFlow", _shift_and_log_scale_fn=made)


def outside(made):
    made._network.layers[0].kernel = np.ones((2, 4), np.float32)
    return made


TFP = {
    "a MaskedAutoregressiveFlow": tfp_maf(tfp_network()),
    "MultivariateNormalTriL": tfp_flow(stand_in("Identity"), stand_in("MultivariateNormalTriL")),
    "the base Normal": tfp_flow(stand_in("Identity"), stand_in("Normal")),
    "a base of shape": tfp_flow(
        stand_in("Identity"), stand_in("MultivariateNormalDiag", mean=lambda: np.zeros((3, 2)), stddev=lambda: 1)
    ),
    "BatchNormalization": tfp_flow(stand_in("BatchNormalization")),
    r"bijector.bijectors\[1\]: the bijector RealNVP": tfp_flow(
        stand_in("Chain", bijectors=[stand_in("Identity"), stand_in("RealNVP")])
    ),
    "bijector_fn": tfp_flow(tfp_maf(None)),
    "shift_and_log_scale_fn <lambda>": tfp_flow(tfp_maf(lambda x: (x, x))),
    "params=3": tfp_flow(tfp_maf(tfp_network(params=3))),
    "not built": tfp_flow(tfp_maf(tfp_network(_network=None))),
    "outside the mask": tfp_flow(tfp_maf(outside(tfp_network()))),
    "axis -2": tfp_flow(stand_in("Permute", axis=-2, permutation=np.arange(2))),
    "not positive": tfp_flow(stand_in("Scale", scale=np.float32(-1))),
}


@pytest.mark.parametrize("named", TFP)
def test_from_tfp_refuses(named):
    with pytest.raises(MigrationError, match=named):
        from_tfp(TFP[named])


def test_the_stand_ins_lack_nothing_else():
    """So that what is refused above is refused for what it is named for."""
    description = tfp.read(tfp_flow(tfp_maf(tfp_network())))
    assert build(description).dim == 2


def nflows_flow(transform, base=None, embedding=None):
    return stand_in(
        "Flow",
        _transform=transform,
        _distribution=base or stand_in("StandardNormal", _shape=(2,)),
        _embedding_net=embedding or stand_in("Identity"),
        parameters=lambda: [PARAMETER],
    )


def nflows_embedding(*parts):
    net = type("Sequential", (list,), {"parameters": lambda self: [PARAMETER]})(parts)
    return nflows_flow(stand_in("IdentityTransform"), embedding=net)


def nflows_maf(block=(), made="MADE", **changes):
    plain = {"use_batch_norm": False, "dropout": stand_in("Dropout", p=0.0, training=True), "activation": jax.nn.relu}
    parts = {
        "activation": jax.nn.relu,
        "parameters": lambda: [PARAMETER],
        "blocks": [stand_in("MaskedResidualBlock", linear_layers=[], **plain | dict(block))],
        "use_residual_blocks": True,
        "initial_layer": None,
        "final_layer": None,
    }
    net = stand_in(made, **parts | changes)
    return nflows_flow(stand_in("MaskedAffineAutoregressiveTransform", autoregressive_net=net, _epsilon=1e-3))


NFLOWS = {
    "a MaskedAffineAutoregressiveTransform": stand_in("MaskedAffineAutoregressiveTransform"),
    r"_transforms\[0\]: the transform BatchNorm": nflows_flow(
        stand_in("CompositeTransform", _transforms=[stand_in("BatchNorm")])
    ),
    "MaskedPiecewiseRationalQuadraticAutoregressiveTransform": nflows_flow(
        stand_in("MaskedPiecewiseRationalQuadraticAutoregressiveTransform", "AutoregressiveTransform")
    ),
    "the base ConditionalDiagonalNormal": nflows_flow(None, stand_in("ConditionalDiagonalNormal")),
    "_embedding_net: a Standardize": nflows_embedding(stand_in("Standardize"), jax.nn.relu, stand_in("Linear")),
    "_embedding_net: a LSTM": nflows_flow(
        stand_in("IdentityTransform"), embedding=stand_in("LSTM", parameters=lambda: [PARAMETER])
    ),
    "batch normalisation": nflows_maf({"use_batch_norm": True}),
    "dropout of 0.2 in training": nflows_maf({"dropout": stand_in("Dropout", p=0.2, training=True)}),
    "several activations": nflows_maf({"activation": jax.nn.tanh}),
    "activation softmax": nflows_maf(activation=jax.nn.softmax),
    "MixtureOfGaussiansMADE": nflows_maf(made="MixtureOfGaussiansMADE"),
    "dimension 2": nflows_flow(stand_in("Permutation", _dim=2)),
}


@pytest.mark.parametrize("named", NFLOWS)
def test_from_nflows_refuses(named):
    with pytest.raises(MigrationError, match=named):
        from_nflows(NFLOWS[named])


def test_two_floating_types_are_refused():
    flow = nflows_flow(stand_in("IdentityTransform"))
    flow.parameters = lambda: [PARAMETER, PARAMETER.astype(np.float64)]
    with pytest.raises(MigrationError, match=r"float32.*float64"):
        from_nflows(flow)


class DiagNormal:
    pass


class BoxUniform(DiagNormal):
    pass


class MonotonicAffineTransform:
    pass


class MonotonicRQSTransform:
    pass


def zuko_flow(transform, f=DiagNormal):
    base = type("UnconditionalDistribution", (), {"__call__": lambda self: given})()
    base.f = f
    given = stand_in("DiagNormal", base_dist=stand_in("Normal", loc=np.zeros(2), scale=np.ones(2)))
    return stand_in("MAF", "Flow", transform=transform, base=base, parameters=lambda: [PARAMETER])


def zuko_maf(*parts, univariate=MonotonicAffineTransform):
    hyper = type("MaskedMLP", (list,), {"parameters": lambda self: [PARAMETER]})(parts)
    return zuko_flow(stand_in("MaskedAutoregressiveTransform", hyper=hyper, univariate=univariate))


ZUKO = {
    "a NormalizingFlow": stand_in("NormalizingFlow", transform=None),
    "the base BoxUniform": zuko_flow(None, BoxUniform),
    "the univariate map MonotonicRQSTransform": zuko_maf(univariate=partial(MonotonicRQSTransform, bound=5)),
    r"transforms\[0\]: the transform GeneralCouplingTransform": zuko_flow(
        stand_in("LazyComposedTransform", transforms=[stand_in("GeneralCouplingTransform")])
    ),
    "the transform RotationTransform": zuko_flow(
        stand_in("UnconditionalTransform", f=type("RotationTransform", (), {}))
    ),
    "a Residual": zuko_maf(stand_in("MaskedLinear"), stand_in("Residual", __len__=None)),
    "a LayerNorm": zuko_maf(stand_in("LayerNorm")),
    "activations relu so placed": zuko_maf(stand_in("MaskedLinear"), jax.nn.relu),
    "activations relu, tanh": zuko_maf(
        *(stand_in("MaskedLinear"), jax.nn.relu), *(stand_in("MaskedLinear"), jnp.tanh), stand_in("MaskedLinear")
    ),
}


@pytest.mark.parametrize("named", ZUKO)
def test_from_zuko_refuses(named):
    with pytest.raises(MigrationError, match=named):
        from_zuko(ZUKO[named])


def flowjax_flow(bijection, base=None):
    base = base or stand_in("StandardNormal", shape=(2,))
    return stand_in("Transformed", base_dist=base, bijection=bijection)


def flowjax_maf(construct):
    return flowjax_flow(stand_in("MaskedAutoregressive", transformer_constructor=construct))


def affine(scale):
    return lambda theta: stand_in("Affine", loc=theta[0], scale=scale(theta[1]))


def splines(theta):
    return stand_in("RationalQuadraticSpline")


def seven_numbers(theta):
    raise ValueError("expected 7 numbers, got 2")


FLOWJAX = {
    "a Normal": stand_in("Normal"),
    r"the base Uniform of shape \(2,\)": flowjax_flow(None, stand_in("Uniform", shape=(2,))),
    r"bijection\[1\]: the bijection BlockAutoregressiveNetwork": flowjax_flow(
        stand_in("Chain", bijections=[stand_in("Identity"), stand_in("BlockAutoregressiveNetwork")])
    ),
    "the bijection EmbedCondition": flowjax_flow(stand_in("Chain", bijections=[stand_in("EmbedCondition")])),
    "embedding_net: a Lambda": flowjax_flow(stand_in("EmbedCondition", embedding_net=stand_in("Lambda"))),
    "the transformer RationalQuadraticSpline": flowjax_maf(splines),
    "transformer of other than two parameters": flowjax_maf(seven_numbers),
    "the form of the Affine": flowjax_maf(affine(jax.nn.softplus)),  # without a minimum it can vanish
}


@pytest.mark.parametrize("named", FLOWJAX)
def test_from_flowjax_refuses(named):
    with pytest.raises(MigrationError, match=named):
        from_flowjax(FLOWJAX[named])
