"""zuko: MAF and its masked autoregressive and element-wise affine transforms, and permutations."""

import math
from typing import Any

import numpy as np

from densiflow.flow import Flow
from densiflow.migrate.build import copied
from densiflow.migrate.description import Array, Description, Network, Step, permutation
from densiflow.migrate.objects import is_a, numpy_of, refuse
from densiflow.migrate.pytorch import alternating, bias_of, dtype_of, tensor_like

_KNOWN = (
    "copied are MaskedAutoregressiveTransform, ElementWiseTransform and a PermutationTransform, lazily composed or "
    "inverted"
)


def from_zuko(flow: Any) -> Flow:
    """The flow that a zuko `Flow` (`MAF`) is, weights and all.

    Args:
        flow: the lazy flow, not the distribution it returns: `MaskedAutoregressiveTransform` with the affine map, in
            any order, number of passes or adjacency, with or without a context, on a `DiagNormal`.

    Raises `MigrationError` naming what has no exact counterpart, `PrecisionError` for float64 while JAX has it
    switched off.

    Source: Rozet et al. 2022, "Zuko: normalizing flows in PyTorch".
    """

    def log_prob(x: Array, context: Array | None) -> Array:
        tensor = tensor_like(flow)
        return numpy_of(flow(tensor(context)).log_prob(tensor(x)))

    return copied(read(flow), log_prob)


def read(flow: Any) -> Description:
    """What the flow is, in plain values."""
    if not is_a(flow, "Flow") or not hasattr(flow, "transform"):
        raise refuse("from_zuko", f"a {type(flow).__name__}", "give the lazy flow, such as a zuko.flows.MAF")
    dtype = dtype_of(flow, "from_zuko")
    base = flow.base
    if not is_a(base, "UnconditionalDistribution") or _name(base.f) != "DiagNormal":
        called = _name(getattr(base, "f", type(base)))
        raise refuse("base", f"the base {called}", "use an UnconditionalDistribution of DiagNormal")
    given = base()
    steps = _steps(flow.transform, inverted=False, where="transform")
    return {
        "steps": steps,
        "mean": numpy_of(given.base_dist.loc).astype(dtype),
        "scale": numpy_of(given.base_dist.scale).astype(dtype),
        "embedding": None,
        "dtype": dtype,
    }


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _steps(transform: Any, *, inverted: bool, where: str) -> list[Step]:
    """What lies on the way from data to base; a transform's own direction leads to base unless inverted."""
    if is_a(transform, "LazyComposedTransform"):
        members = [
            _steps(member, inverted=inverted, where=f"{where}.transforms[{i}]")
            for i, member in enumerate(transform.transforms)
        ]
        return [step for steps in (reversed(members) if inverted else members) for step in steps]
    if is_a(transform, "LazyInverse"):
        return _steps(transform.transform, inverted=not inverted, where=f"{where}.transform")
    if is_a(transform, "MaskedAutoregressiveTransform", "ElementWiseTransform"):
        bound = _bound(transform, where)
        network = _network(transform, where)
        return [{"kind": "autoregression", "network": network, "form": "softsign", "bound": bound,
                 "reversed_scalar": True, "inverted": inverted}]  # fmt: skip
    if is_a(transform, "UnconditionalTransform") and _name(transform.f) == "PermutationTransform":
        return [permutation(numpy_of(transform().order), inverted=inverted)]
    called = _name(transform.f) if is_a(transform, "UnconditionalTransform") else type(transform).__name__
    raise refuse(where, f"the transform {called}", _KNOWN)


def _bound(transform: Any, where: str) -> float:
    """The bound of log-scales, from the smallest slope."""
    univariate = transform.univariate
    called, options = _name(getattr(univariate, "func", univariate)), getattr(univariate, "keywords", {})
    if called != "MonotonicAffineTransform" or set(options) - {"slope"}:
        raise refuse(where, f"the univariate map {called}", "use MonotonicAffineTransform")
    return abs(math.log(options.get("slope", 1e-3)))


def _network(transform: Any, where: str) -> Network:
    if is_a(transform, "MaskedAutoregressiveTransform"):
        layers, bend = alternating(transform.hyper, "MaskedLinear", f"{where}.hyper", tensor_like(transform.hyper))
        masks = [numpy_of(layer.mask).astype(bool) for layer in layers]
        weights = [np.where(mask, numpy_of(layer.weight), 0) for layer, mask in zip(layers, masks, strict=True)]
        dim = len(weights[-1]) // 2
        first = weights[0]
        weights[0], masks[0] = first[:, :dim], masks[0][:, :dim]
        return _plain(bend, weights, masks, [bias_of(layer) for layer in layers], first[:, dim:])
    if hasattr(transform, "hyper"):  # the context alone
        layers, bend = alternating(transform.hyper, "Linear", f"{where}.hyper", tensor_like(transform.hyper))
        weights = [numpy_of(layer.weight) for layer in layers]
        first = weights[0]
        weights[0] = np.zeros((len(first), len(weights[-1]) // 2), first.dtype)
        masks = [np.full(weight.shape, k > 0) for k, weight in enumerate(weights)]
        return _plain(bend, weights, masks, [bias_of(layer) for layer in layers], first)
    shift, scale = (numpy_of(part) for part in transform.phi)
    nothing = np.zeros((2 * len(shift), len(shift)), shift.dtype)
    bias = np.stack([shift, scale], axis=1).ravel()
    return _plain("identity", [nothing], [nothing > 0], [bias], nothing[:, :0])


def _plain(bend: str, weights: list[Array], masks: list[Array], biases: list[Array], of_context: Array) -> Network:
    return {
        "kind": "plain",
        "activation": bend,
        "weights": weights,
        "masks": masks,
        "biases": biases,
        "context_weights": [of_context] if of_context.shape[1] else [],
        "context_biases": [],
    }
