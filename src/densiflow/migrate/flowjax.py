"""flowjax: masked autoregressive flows with the affine map, permutations, flips and affine layers."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from densiflow.flow import Flow
from densiflow.migrate.build import copied
from densiflow.migrate.description import (
    Array,
    Autoregression,
    Description,
    Embedding,
    Network,
    Step,
    permutation,
    scaling,
)
from densiflow.migrate.objects import is_a, named_activation, numpy_of, refuse

_KNOWN = "copied are MaskedAutoregressive, Chain, Scan, Invert, Permute, Flip, Affine and Identity"


def from_flowjax(distribution: Any) -> Flow:
    """The flow that a flowjax `Transformed` distribution is, weights and all.

    Args:
        distribution: what `flowjax.flows.masked_autoregressive_flow` returns, inverted or not, with or without a
            condition, on a `StandardNormal` or `Normal`; or a chain of such parts built by hand. Around it all may
            stand an `EmbedCondition` with an equinox `MLP`.

    Raises `MigrationError` naming what has no exact counterpart, `PrecisionError` for float64 while JAX has it
    switched off.

    Source: Ward 2023, "FlowJax: distributions and normalizing flows in JAX".
    """
    return copied(read(distribution), lambda x, context: distribution.log_prob(x, condition=context))


def read(distribution: Any) -> Description:
    """What the distribution is, in plain values."""
    if not is_a(distribution, "Transformed"):
        raise refuse("from_flowjax", f"a {type(distribution).__name__}", "give a Transformed distribution")
    mean, scale = _normal(_plain(distribution.base_dist))
    bijection, inverted, embedding = _outermost(distribution.bijection)
    steps = _steps(bijection, len(mean), inverted=inverted, where="bijection")
    return {"steps": steps, "mean": mean, "scale": scale, "embedding": embedding, "dtype": _dtype(steps, mean)}


def _outermost(bijection: Any) -> tuple[Any, bool, Embedding | None]:
    """What lies under an outermost embedding of the condition, whether that is inverted, and the embedding."""
    bijection, inverted = _plain(bijection), False
    if is_a(bijection, "Invert") and is_a(_plain(bijection.bijection), "EmbedCondition"):
        bijection, inverted = _plain(bijection.bijection), True
    if not is_a(bijection, "EmbedCondition"):
        return bijection, inverted, None
    net = bijection.embedding_net
    if not is_a(net, "MLP"):
        raise refuse("embedding_net", f"a {type(net).__name__}", "use an equinox MLP")
    layers, bend = _layers(net, "embedding_net")
    embedding: Embedding = {
        "activation": bend,
        "weights": [numpy_of(_plain(layer.weight)) for layer in layers],
        "biases": [_bias(layer) for layer in layers],
    }
    return bijection.bijection, inverted, embedding


def _dtype(steps: list[Step], mean: Array) -> str:
    networks = [step["network"] for step in steps if step["kind"] == "autoregression"]
    return np.result_type(
        *(weight for network in networks for weight in network["weights"]), *([] if networks else [mean])
    ).name


def _normal(base: Any) -> tuple[Array, Array]:
    if is_a(base, "StandardNormal") and len(base.shape) == 1:
        return np.zeros(base.shape[0]), np.ones(base.shape[0])
    if is_a(base, "Normal") and len(base.shape) == 1:
        return numpy_of(_plain(base.bijection).loc), numpy_of(_plain(base.bijection.scale))
    raise refuse("base_dist", f"the base {type(base).__name__} of shape {base.shape}", "use StandardNormal((dim,))")


def _plain(node: Any) -> Any:
    """What flowjax's wrappers stand for."""
    if is_a(node, "NonTrainable"):
        return _plain(node.tree)
    if is_a(node, "Parameterize"):
        return node.fn(*(_plain(argument) for argument in node.args), **node.kwargs)
    return node


def _steps(bijection: Any, dim: int, *, inverted: bool, where: str) -> list[Step]:
    """What lies on the way from data to base; a bijection's own transform leads to data unless inverted."""
    bijection = _plain(bijection)
    if is_a(bijection, "Invert"):
        return _steps(bijection.bijection, dim, inverted=not inverted, where=f"{where}.bijection")
    if is_a(bijection, "Chain", "Scan"):
        parts = _unstacked(bijection) if is_a(bijection, "Scan") else bijection.bijections
        members = [_steps(part, dim, inverted=inverted, where=f"{where}[{i}]") for i, part in enumerate(parts)]
        return [step for steps in (members if inverted else reversed(members)) for step in steps]
    if is_a(bijection, "MaskedAutoregressive"):
        return [_autoregression(bijection, dim, inverted, where)]
    if is_a(bijection, "Permute"):
        return [permutation(numpy_of(bijection.permutation[0]), inverted=not inverted)]
    if is_a(bijection, "Flip"):
        return [permutation(np.arange(dim)[::-1])]
    if is_a(bijection, "Affine"):
        return [scaling(numpy_of(_plain(bijection.loc)), numpy_of(_plain(bijection.scale)), dim, inverted=inverted)]
    if is_a(bijection, "Identity"):
        return []
    raise refuse(where, f"the bijection {type(bijection).__name__}", _KNOWN)


def _unstacked(scan: Any) -> list[Any]:
    """The layers that a Scan runs over, one by one."""
    leaves, structure = jax.tree.flatten(scan.bijection)
    is_array = [hasattr(leaf, "ndim") for leaf in leaves]
    depth = next(len(leaf) for leaf, array in zip(leaves, is_array, strict=True) if array)
    return [
        jax.tree.unflatten(
            structure, [leaf[t] if array else leaf for leaf, array in zip(leaves, is_array, strict=True)]
        )
        for t in range(depth)
    ]


def _autoregression(bijection: Any, dim: int, inverted: bool, where: str) -> Autoregression:
    loc, form, minimum, log_scale = _transformer(bijection.transformer_constructor, where)
    network = _network(bijection.masked_autoregressive_mlp, dim, f"{where}.masked_autoregressive_mlp")
    network["biases"][-1] = network["biases"][-1] + np.tile([loc, log_scale], dim)
    step: Autoregression = {"kind": "autoregression", "network": network, "form": form, "bound": None,
                            "reversed_scalar": True, "inverted": not inverted}  # fmt: skip
    return step if form == "exp" else {**step, "minimum": minimum}


def _transformer(construct: Any, where: str) -> tuple[float, Any, float, float]:
    """Shift at zero, the scale's form and minimum, and what our `a` is where theirs is zero; found by trying."""
    try:
        at_zero = _plain(construct(jnp.zeros(2)))
    except (TypeError, ValueError):
        at_zero = None
    if at_zero is None or not is_a(at_zero, "Affine"):
        called = "of other than two parameters" if at_zero is None else type(at_zero).__name__
        raise refuse(where, f"the transformer {called}", "use the default, affine one")
    u = np.linspace(-8.0, 8.0, 33)
    scales = np.array([numpy_of(_plain(construct(jnp.array([0.0, a])).scale)) for a in u], np.float64)
    loc = float(numpy_of(at_zero.loc))
    minimum = float(numpy_of(_plain(construct(jnp.array([0.0, -1e4])).scale)))
    middle = float(scales[16])
    if np.allclose(np.log(np.maximum(scales, 1e-30)), u + math.log(middle), atol=1e-4):
        return loc, "exp", 0.0, math.log(middle)
    offset = math.log(math.expm1(middle - minimum))
    if 0 < minimum < 1 and np.allclose(scales, minimum + np.log1p(np.exp(u + offset)), rtol=1e-4):
        return loc, "softplus", minimum, offset - math.log(math.expm1(1 - minimum))
    raise refuse(where, "the form of the Affine transformer's scale", "use softplus above a minimum, or exp")


def _network(mlp: Any, dim: int, where: str) -> Network:
    layers, bend = _layers(mlp, where)
    weights, masks = zip(*(_masked(layer.weight) for layer in layers), strict=True)
    first = weights[0]
    return {
        "kind": "plain",
        "activation": bend,
        "weights": [first[:, :dim], *weights[1:]],
        "masks": [masks[0][:, :dim], *masks[1:]],
        "biases": [_bias(layer) for layer in layers],
        "context_weights": [first[:, dim:]] if first.shape[1] > dim else [],
        "context_biases": [],
    }


def _layers(mlp: Any, where: str) -> tuple[list[Any], str]:
    """The layers of an equinox MLP and its activation."""
    layers = [_plain(layer) for layer in mlp.layers]
    if named_activation(mlp.final_activation, where, jnp.asarray) != "identity":
        raise refuse(where, "a final activation", "use none")
    return layers, named_activation(mlp.activation, where, jnp.asarray) if len(layers) > 1 else "identity"


def _bias(layer: Any) -> Array:
    weight = numpy_of(_plain(layer.weight))
    return np.zeros(len(weight), weight.dtype) if layer.bias is None else numpy_of(_plain(layer.bias))


def _masked(weight: Any) -> tuple[Array, Array]:
    """A masked weight and its mask; of one that flowjax has unwrapped already, the mask is where it is not zero."""
    values = numpy_of(_plain(weight))
    wrapped = weight.tree if is_a(weight, "NonTrainable") else weight
    mask = numpy_of(_plain(wrapped.args[0])) if is_a(wrapped, "Parameterize") else values != 0
    return values, mask.astype(bool)
