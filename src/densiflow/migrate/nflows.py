"""nflows: masked autoregressive affine transforms, of feed-forward or residual blocks, and permutations."""

import math
from typing import Any

import numpy as np

from densiflow.flow import Flow
from densiflow.migrate.build import copied
from densiflow.migrate.description import Array, Description, Embedding, Network, Step, permutation, scaling
from densiflow.migrate.objects import is_a, named_activation, numpy_of, refuse
from densiflow.migrate.pytorch import alternating, bias_of, dtype_of, tensor_like

_KNOWN = (
    "copied are CompositeTransform, MaskedAffineAutoregressiveTransform, Permutation, InverseTransform, "
    "PointwiseAffineTransform and IdentityTransform"
)


def from_nflows(flow: Any) -> Flow:
    """The flow that an nflows `Flow` is, weights and all.

    Args:
        flow: a `Flow`, `MaskedAutoregressiveFlow` among them, of `MaskedAffineAutoregressiveTransform` (residual or
            feed-forward blocks, with or without a context) and permutations, on `StandardNormal` or `DiagonalNormal`;
            with an embedding of linear layers and one activation, or none.

    Raises `MigrationError` naming what has no exact counterpart, `PrecisionError` for float64 while JAX has it
    switched off.

    Source: Durkan et al. 2020, "nflows: normalizing flows in PyTorch".
    """

    def log_prob(x: Array, context: Array | None) -> Array:
        tensor = tensor_like(flow)
        return numpy_of(flow.log_prob(tensor(x), context=tensor(context)))

    return copied(read(flow), log_prob)


def read(flow: Any) -> Description:
    """What the flow is, in plain values."""
    if not is_a(flow, "Flow") or not hasattr(flow, "_transform"):
        raise refuse("from_nflows", f"a {type(flow).__name__}", "give an nflows Flow")
    dtype = dtype_of(flow, "from_nflows")
    mean, scale = _normal(flow._distribution, dtype)
    steps = _steps(flow._transform, len(mean), inverted=False, where="_transform")
    return {"steps": steps, "mean": mean, "scale": scale, "embedding": _embedding(flow._embedding_net), "dtype": dtype}


def _embedding(net: Any) -> Embedding | None:
    if is_a(net, "Identity"):
        return None
    parts = list(net) if is_a(net, "Sequential") else [net]
    layers, bend = alternating(parts, "Linear", "_embedding_net", tensor_like(net))
    weights = [numpy_of(layer.weight) for layer in layers]
    return {"activation": bend, "weights": weights, "biases": [bias_of(layer) for layer in layers]}


def _normal(base: Any, dtype: str) -> tuple[Array, Array]:
    if is_a(base, "StandardNormal") and len(base._shape) == 1:
        return np.zeros(base._shape[0], dtype), np.ones(base._shape[0], dtype)
    if is_a(base, "DiagonalNormal"):
        return numpy_of(base.mean_).ravel(), np.exp(numpy_of(base.log_std_)).ravel()
    raise refuse("_distribution", f"the base {type(base).__name__}", "use StandardNormal of one row")


def _steps(transform: Any, dim: int, *, inverted: bool, where: str) -> list[Step]:
    """What lies on the way from data to base; a transform's own forward leads to base unless inverted."""
    if is_a(transform, "CompositeTransform"):
        members = [
            _steps(member, dim, inverted=inverted, where=f"{where}._transforms[{i}]")
            for i, member in enumerate(transform._transforms)
        ]
        return [step for steps in (reversed(members) if inverted else members) for step in steps]
    if is_a(transform, "InverseTransform"):
        return _steps(transform._transform, dim, inverted=not inverted, where=f"{where}._transform")
    if is_a(transform, "MaskedAffineAutoregressiveTransform"):
        network = _network(transform.autoregressive_net, transform._epsilon, f"{where}.autoregressive_net")
        return [{"kind": "autoregression", "network": network, "form": "softplus", "bound": None,
                 "minimum": transform._epsilon, "reversed_scalar": True, "inverted": inverted}]  # fmt: skip
    if is_a(transform, "Permutation"):
        if transform._dim != 1:
            raise refuse(where, f"a permutation along dimension {transform._dim}", "columns are dimension 1")
        return [permutation(numpy_of(transform._permutation), inverted=inverted)]
    if is_a(transform, "PointwiseAffineTransform"):
        return [scaling(numpy_of(transform._shift), numpy_of(transform._scale), dim, inverted=not inverted)]
    if is_a(transform, "IdentityTransform"):
        return []
    raise refuse(where, f"the transform {type(transform).__name__}", _KNOWN)


def _network(made: Any, minimum: float, where: str) -> Network:
    if type(made).__name__ != "MADE":
        raise refuse(where, f"the network {type(made).__name__}", "it must be a MADE")
    bends = {named_activation(part.activation, where, tensor_like(made)) for part in (made, *made.blocks)}
    if len(bends) > 1:
        raise refuse(where, f"a network of several activations ({', '.join(sorted(bends))})", "use one")
    context = getattr(made, "context_layer", None)
    layers, of_blocks = [made.initial_layer], []
    for i, block in enumerate(made.blocks):
        _check_plain(block, f"{where}.blocks[{i}]")
        layers += list(block.linear_layers) if made.use_residual_blocks else [block.linear]
        of_blocks += [block.context_layer] if hasattr(block, "context_layer") else []
    layers.append(made.final_layer)
    biases = [bias_of(layer) for layer in layers]
    for t, layer in enumerate(of_blocks):  # a block adds its context to the first of its two products
        biases[2 * t + 1] = biases[2 * t + 1] + bias_of(layer)
    weights = [numpy_of(layer.weight) for layer in layers]
    masks = [numpy_of(layer.mask).astype(bool) for layer in layers]
    weights[-1], masks[-1], biases[-1] = (_shift_first(part) for part in (weights[-1], masks[-1], biases[-1]))
    # the scale is m + softplus(a); ours is m + softplus(a + c), so that a = 0 is the identity
    biases[-1] = biases[-1] - np.tile([0, math.log(math.expm1(1 - minimum))], len(biases[-1]) // 2)
    return {
        "kind": "residual" if made.use_residual_blocks else "plain",
        "activation": bends.pop(),
        "weights": weights,
        "masks": masks,
        "biases": biases,
        "context_weights": [] if context is None else [numpy_of(layer.weight) for layer in (context, *of_blocks)],
        "context_biases": [] if context is None else [bias_of(context)],
    }


def _shift_first(rows: Array) -> Array:
    """Rows scale, shift, scale, shift, ... as shift, scale, shift, scale, ..."""
    return rows.reshape(-1, 2, *rows.shape[1:])[:, ::-1].reshape(rows.shape)


def _check_plain(block: Any, where: str) -> None:
    if getattr(block, "use_batch_norm", False) or getattr(block, "batch_norm", None) is not None:
        raise refuse(where, "batch normalisation", "train without it")
    if block.dropout.p > 0 and block.dropout.training:
        raise refuse(where, f"dropout of {block.dropout.p:g} in training", "call flow.eval()")
