"""TensorFlow Probability: chains of masked autoregressive flows, permutations, shifts and scales."""

from typing import Any

import numpy as np

from densiflow.flow import Flow
from densiflow.migrate.build import copied
from densiflow.migrate.description import Array, Description, Network, Step, permutation, scaling
from densiflow.migrate.objects import is_a, named_activation, numpy_of, refuse

_KNOWN = "copied are Chain, MaskedAutoregressiveFlow, Permute, Invert, Shift, Scale and Identity"


def from_tfp(distribution: Any) -> Flow:
    """The flow that a TensorFlow Probability `TransformedDistribution` is, weights and all.

    Args:
        distribution: a normal base (`MultivariateNormalDiag`, or `Normal` in a `Sample` or `Independent`) and a `Chain`
            of `MaskedAutoregressiveFlow` on `AutoregressiveNetwork`, `Permute`, `Invert`, `Shift`, `Scale`. Conditional
            networks all take the flow's one context, in either of their context modes.

    Raises `MigrationError` naming what has no exact counterpart, `PrecisionError` for float64 while JAX has it
    switched off.

    Source: Dillon et al. 2017, "TensorFlow Distributions"; its `AutoregressiveNetwork` and `MaskedAutoregressiveFlow`.
    """
    return copied(read(distribution), lambda x, context: _log_prob(distribution, x, context))


def read(distribution: Any) -> Description:
    """What the distribution is, in plain values."""
    if not is_a(distribution, "TransformedDistribution", "_TransformedDistribution"):
        raise refuse("from_tfp", f"a {type(distribution).__name__}", "give a TransformedDistribution")
    base = distribution.distribution
    mean, scale = _normal(base)
    steps = _steps(distribution.bijector, len(mean), inverted=False, where="bijector")
    return {"steps": steps, "mean": mean, "scale": scale, "embedding": None, "dtype": mean.dtype.name}


def _normal(base: Any) -> tuple[Array, Array]:
    is_row = is_a(base, "Sample", "_Sample", "Independent", "_Independent")
    inside = base.distribution if is_row else base
    if not is_a(inside, "MultivariateNormalDiag") and not (is_row and is_a(inside, "Normal")):
        instead = "use MultivariateNormalDiag, or Normal in a Sample or Independent"
        raise refuse("distribution", f"the base {type(inside).__name__}", instead)
    mean, scale = numpy_of(base.mean()), numpy_of(base.stddev())
    if mean.ndim != 1:
        raise refuse("distribution", f"a base of shape {mean.shape}", "it must be one row, without batches")
    return mean, scale


def _steps(bijector: Any, dim: int, *, inverted: bool, where: str) -> list[Step]:
    """What lies on the way from data to base; a bijector's own forward leads to data unless inverted."""
    if is_a(bijector, "Chain", "_Chain"):
        members = [
            _steps(member, dim, inverted=inverted, where=f"{where}.bijectors[{i}]")
            for i, member in enumerate(bijector.bijectors)
        ]
        return [step for steps in (reversed(members) if inverted else members) for step in steps]
    if is_a(bijector, "Invert", "_Invert"):
        return _steps(bijector.bijector, dim, inverted=not inverted, where=f"{where}.bijector")
    if is_a(bijector, "MaskedAutoregressiveFlow"):
        network = _network(bijector, where)
        return [{"kind": "autoregression", "network": network, "form": "exp", "bound": None,
                 "reversed_scalar": False, "inverted": inverted}]  # fmt: skip
    if is_a(bijector, "Permute"):
        if int(numpy_of(bijector.axis)) != -1:
            raise refuse(where, f"Permute along axis {int(numpy_of(bijector.axis))}", "columns are the last axis, -1")
        return [permutation(numpy_of(bijector.permutation), inverted=not inverted)]
    if is_a(bijector, "Shift"):
        return [scaling(numpy_of(bijector.shift), 1.0, dim, inverted=inverted)]
    if is_a(bijector, "Scale"):
        return [scaling(0.0, _positive(bijector, where), dim, inverted=inverted)]
    if is_a(bijector, "Identity", "_Identity"):
        return []
    raise refuse(where, f"the bijector {type(bijector).__name__}", _KNOWN)


def _positive(bijector: Any, where: str) -> Array:
    scale = np.exp(numpy_of(bijector.log_scale)) if bijector.scale is None else numpy_of(bijector.scale)
    if not np.all(scale > 0):
        raise refuse(where, "a Scale that is not positive", "fold its sign into the networks")
    return scale


def _network(bijector: Any, where: str) -> Network:
    made = bijector._shift_and_log_scale_fn
    if made is None:
        raise refuse(where, "MaskedAutoregressiveFlow with a bijector_fn", "use shift_and_log_scale_fn")
    if not is_a(made, "AutoregressiveNetwork"):
        called = getattr(made, "__name__", type(made).__name__)
        raise refuse(where, f"the shift_and_log_scale_fn {called}", "it must be an AutoregressiveNetwork")
    where = f"{where}.AutoregressiveNetwork"
    if made._network is None:
        raise refuse(where, "a network that is not built yet", "call it once on a row")
    if made.params != 2:
        raise refuse(where, f"params={made.params}", "the affine map takes params=2")
    dense = [layer for layer in made._network.layers if is_a(layer, "Dense")]
    inputs = made._network.inputs
    of_context = [layer for layer in dense if len(inputs) > 1 and layer.input is inputs[1]]
    of_columns = [layer for layer in dense if layer not in of_context]
    masks = [numpy_of(mask).astype(bool).T for mask in made._masks]
    kernels = [numpy_of(layer.kernel).T for layer in of_columns]
    for mask, kernel in zip(masks, kernels, strict=True):
        if np.any(kernel[~mask]):
            raise refuse(where, "a weight outside the mask, which plain assignments leave there,", "multiply by masks")
    bends = [layer.activation for layer in made._network.layers if is_a(layer, "Activation")]
    return {
        "kind": "plain",
        "activation": named_activation(bends[0], where, lambda numbers: numbers) if bends else "identity",
        "weights": kernels,
        "masks": masks,
        "biases": [np.zeros(len(k), k.dtype) if layer.bias is None else numpy_of(layer.bias)
                   for layer, k in zip(of_columns, kernels, strict=True)],
        "context_weights": [numpy_of(layer.kernel).T for layer in of_context],
        "context_biases": [],
    }  # fmt: skip


def _log_prob(distribution: Any, x: Array, context: Array | None) -> Array:
    given = {} if context is None else {"bijector_kwargs": _contexts(distribution.bijector, context)}
    return numpy_of(distribution.log_prob(x, **given))


def _contexts(bijector: Any, context: Array) -> dict[str, Any]:
    """The context as TFP wants it: nested dictionaries keyed by the bijectors' names."""
    if is_a(bijector, "Chain", "_Chain"):
        return {member.name: _contexts(member, context) for member in bijector.bijectors}
    if is_a(bijector, "Invert", "_Invert"):
        return _contexts(bijector.bijector, context)
    takes = is_a(bijector, "MaskedAutoregressiveFlow") and bijector._shift_and_log_scale_fn._conditional
    return {"conditional_input": context} if takes else {}
