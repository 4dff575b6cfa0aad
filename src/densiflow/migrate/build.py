"""A description turned into a flow."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

from densiflow.bases import Normal
from densiflow.bijections import Autoregressive, Chain, Elementwise, Inverse, Permute, Stack
from densiflow.bijections.base import Bijection
from densiflow.errors import MigrationError
from densiflow.flow import Flow
from densiflow.migrate.description import Autoregression, Description, Embedding, Network
from densiflow.migrate.triangle import sorted_network
from densiflow.networks import MLP, MaskedMLP, ResidualMaskedMLP
from densiflow.networks.given import with_arrays
from densiflow.precision import float_dtype
from densiflow.scalars import Affine, Reversed, ScalarMap

CHECKED_ROWS = 16
CHECKED_TO = 1e-3  # relative to the density's size: float32 through several layers


def build(description: Description) -> Flow:
    """The flow of that description. Raises `PrecisionError` for float64 while JAX has it switched off."""
    dtype = float_dtype(description["dtype"])
    dim = len(description["mean"])
    bijections: list[Bijection] = []
    between = [np.arange(dim)]  # the permutation before each bijection, and the one after the last
    for k, step in enumerate(description["steps"]):
        if step["kind"] == "permutation":
            between[-1] = between[-1][step["permutation"]]
        elif step["kind"] == "scaling":
            bijections.append(Elementwise(step["shift"].astype(dtype), step["scale"].astype(dtype)))
            between.append(np.arange(dim))
        else:
            order, layer = _layer(step, dim, dtype, f"step {k}")
            bijections.append(layer)
            between[-1] = between[-1][order]
            between.append(np.argsort(order))
    base = Normal(dim, description["mean"], description["scale"], dtype=dtype)
    return Flow(_composed(bijections, between), base, _embedding(description["embedding"], dtype))


def _composed(bijections: list[Bijection], between: list[Any]) -> Bijection:
    """The bijections with permutations around them: a stack where all are alike, else a chain."""
    first, *rest = between
    is_mixed = not np.array_equal(first, np.arange(len(first)))
    members: list[Bijection] = [Permute(first)] if is_mixed or not bijections else []
    layers: list[Bijection] = [Chain([layer, Permute(after)]) for layer, after in zip(bijections, rest, strict=True)]
    if len(layers) > 1 and len({_kind(layer) for layer in layers}) == 1:
        members.append(Stack.of(layers))
    else:
        members.extend(layers)
    return members[0] if len(members) == 1 else Chain(members)


def _kind(layer: Bijection) -> tuple[Any, ...]:
    leaves, structure = jax.tree.flatten(layer)
    return structure, *(leaf.shape for leaf in leaves)


def _layer(step: Autoregression, dim: int, dtype: Any, where: str) -> tuple[Any, Bijection]:
    """The order of its columns, and the bijection of columns so ordered."""
    order, units, network = sorted_network(step["network"], dim, where)
    scalar: ScalarMap = Affine(step["form"], step["bound"], step.get("minimum", 1e-3))
    if step["reversed_scalar"]:
        scalar = Reversed(scalar)
    layer: Bijection = Autoregressive.of(_conditioner(network, units, dim, dtype), scalar)
    return order, Inverse(layer) if step["inverted"] else layer


def _conditioner(network: Network, units: list[Any], dim: int, dtype: Any) -> MaskedMLP | ResidualMaskedMLP:
    arrays = {name: network[name] for name in ("weights", "biases", "context_weights", "context_biases")}
    of_context = network["context_weights"]
    options: dict[str, Any] = {
        "dim": dim,
        "context_dim": of_context[0].shape[1] if of_context else 0,
        "parameters": len(network["biases"][-1]) // dim,
        "activation": network["activation"],
        "context_layers": "all" if len(of_context) > 1 else "first",
        "bends_context": bool(network["context_biases"]),
        "dtype": dtype,
    }
    if network["kind"] == "residual":
        blocks = (len(network["weights"]) - 2) // 2
        return ResidualMaskedMLP.of(**arrays, width=sum(units[0]), blocks=blocks, units=units[0], **options)
    hidden = tuple(sum(counts) for counts in units)
    return MaskedMLP.of(**arrays, hidden=hidden, units=tuple(units), **options)


def _embedding(embedding: Embedding | None, dtype: Any) -> MLP | None:
    if embedding is None:
        return None
    weights, biases = embedding["weights"], embedding["biases"]
    options: dict[str, Any] = {
        "inputs": weights[0].shape[1],
        "outputs": len(weights[-1]),
        "hidden": tuple(len(weight) for weight in weights[:-1]),
        "activation": embedding["activation"],
        "dtype": dtype,
    }
    blank = eqx.filter_eval_shape(partial(MLP, **options), jax.random.key(0))
    return with_arrays(blank, weights=weights, biases=biases)


def copied(description: Description, log_prob: Callable[[Any, Any], Any]) -> Flow:
    """The flow of that description, once it gives some rows the density that the original gives them.

    ``log_prob(x, context)`` is the original's. A version of the other library that computes something else under the
    same names is noticed here. Raises `MigrationError`.
    """
    flow = build(description)
    numbers = np.random.default_rng(0)
    z = description["mean"] + description["scale"] * numbers.normal(size=(CHECKED_ROWS, flow.dim))
    context = numbers.normal(size=(CHECKED_ROWS, flow.context_dim)).astype(flow.dtype) if flow.context_dim else None
    x = np.asarray(flow.to_data(z, context)[0])
    ours, theirs = np.asarray(flow.log_prob(x, context)), np.asarray(log_prob(x, context))
    if theirs.shape != ours.shape:
        raise MigrationError(f"the original's log_prob must be {ours.shape} for as many rows, got {theirs.shape}")
    usable = np.isfinite(x).all(axis=1)
    off, size = np.abs(ours - theirs)[usable], np.maximum(1, np.abs(theirs[usable]))
    if off.size and not np.median(off / size) <= CHECKED_TO:  # the median: rounding may take a row far out further
        raise MigrationError(
            f"the copy's log_prob differs from the original's by {np.median(off):.2g}: this version of the other "
            f"library computes something else than is copied here"
        )
    return flow
