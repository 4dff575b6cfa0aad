"""Equal layers with mixers between them, made and stacked in one small program."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from densiflow.bijections import ActNorm, Autoregressive, Bijection, Chain, Coupling, Linear, Permute, Planar, Stack

Permutation = Literal["reverse", "random", "lu"]
Partition = Literal["alternate", "random", "lu"]

_STATIC = (
    "dim",
    "context_dim",
    "layers",
    "permutation",
    "act_norm",
    "hidden",
    "activation",
    "scalar",
    "start",
    "dtype",
)


@partial(jax.jit, static_argnames=(*_STATIC, "context_layers"))
def autoregressive_layers(
    key: Array, order: Array | None, *, layers: int, permutation: str, act_norm: bool, **network: Any
) -> Stack:
    """Autoregressive layers that all read the columns in `order`, with a mixer between two of them."""

    def layer(key: Array, mixer: Bijection) -> Bijection:
        return Chain([*_norm(act_norm, network), Autoregressive(key, order=order, **network), mixer])

    weights_key, mixer_key = jax.random.split(key)
    mixers = _mixers(mixer_key, layers, permutation, network["dim"], network["dtype"])
    return Stack(jax.vmap(layer)(jax.random.split(weights_key, layers), mixers), layers)


@partial(jax.jit, static_argnames=(*_STATIC, "passing"))
def coupling_layers(
    key: Array, *, layers: int, permutation: str, act_norm: bool, passing: tuple[int, ...], **network: Any
) -> Bijection:
    """Coupling layers in which other columns pass every time.

    Two layers go together: after the columns `passing` have passed, the rest pass. Before each pair "alternate" leaves
    the columns as they stand, "random" shuffles them; "lu" mixes them before every single layer.
    """
    dim = network["dim"]
    rest = tuple(column for column in range(dim) if column not in passing)

    def single(key: Array, columns: tuple[int, ...]) -> list[Bijection]:
        return [*_norm(act_norm, network), Coupling(key, passing=columns, **network)]

    def mixed(key: Array) -> Bijection:
        mixer_key, key = jax.random.split(key)
        return Chain([Linear.mixing(mixer_key, dim, network["dtype"]), *single(key, passing)])

    def pair(key: Array) -> Bijection:
        shuffle_key, first_key, rest_key = jax.random.split(key, 3)
        members = [*single(first_key, passing), *single(rest_key, rest)]
        shuffle = [Permute(jax.random.permutation(shuffle_key, dim))] if permutation == "random" else []
        return Chain([*shuffle, *members])

    if permutation == "lu":
        return Stack(jax.vmap(mixed)(jax.random.split(key, layers)), layers)
    keys = jax.random.split(key, layers // 2 + 1)
    members: list[Bijection] = []
    if layers >= 2:
        members.append(Stack(jax.vmap(pair)(keys[:-1]), layers // 2))
    if layers % 2:
        members += single(keys[-1], passing)
    return members[0] if len(members) == 1 else Chain(members)


@partial(jax.jit, static_argnames=_STATIC)
def planar_layers(key: Array, *, layers: int, act_norm: bool, **network: Any) -> Stack:
    """Planar layers; nothing need stand between them."""

    def layer(key: Array) -> Bijection:
        members = [*_norm(act_norm, network), Planar(key, **network)]
        return members[0] if len(members) == 1 else Chain(members)

    return Stack(jax.vmap(layer)(jax.random.split(key, layers)), layers)


def _norm(act_norm: bool, network: dict[str, Any]) -> list[Bijection]:
    return [ActNorm(network["dim"], dtype=network["dtype"])] if act_norm else []


def _mixers(key: Array, layers: int, permutation: str, dim: int, dtype: Any) -> Bijection:
    """One mixer a layer, stacked; a permutation after the last layer would help nothing that follows."""
    if permutation == "lu":
        return jax.vmap(lambda key: Linear.mixing(key, dim, dtype))(jax.random.split(key, layers))
    if permutation == "random":
        order = jax.vmap(lambda key: jax.random.permutation(key, dim))(jax.random.split(key, layers))
    else:
        order = jnp.tile(jnp.arange(dim)[::-1], (layers, 1))
    return jax.vmap(Permute)(order.at[-1].set(jnp.arange(dim)))
