"""What every recipe checks, and what every recipe ends with."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow import rows
from densiflow.arguments import check_count
from densiflow.bases import Base, Normal
from densiflow.bijections import Bijection
from densiflow.errors import ArgumentError
from densiflow.flow import Flow
from densiflow.networks.mlp import MLP
from densiflow.precision import float_dtype


def check_recipe(key: Any, **counts: Any) -> None:
    """Raise `KeyTypeError` for what is no key, `ArgumentError` for counts that are no whole numbers or too small."""
    if not rows.is_traced(key):
        rows.check_key(key)
    for name, value in counts.items():
        check_count(name, value, 0 if name == "context_dim" else 1)


def widths_of(name: str, widths: Any) -> tuple[int, ...]:
    """Widths of layers as a tuple; `ArgumentError` for anything else."""
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
        raise ArgumentError(f"{name} must be a sequence of widths such as (128, 128), got {widths!r}")
    for width in widths:
        check_count(f"every {name} width", width, 1)
    return tuple(int(width) for width in widths)


def seen_width(context_dim: int, embedding: Sequence[int]) -> int:
    """How wide the context is where bijection and base see it."""
    embedding = widths_of("embedding", embedding)
    if embedding and not context_dim:
        raise ArgumentError("an embedding is of a context: give context_dim, or leave the embedding out")
    return embedding[-1] if embedding else context_dim


def finished(
    bijection: Bijection,
    base: Base | None,
    key: Array,
    *,
    context_dim: int,
    embedding: Sequence[int],
    activation: str,
    dtype: DTypeLike | None,
) -> Flow:
    """The flow on that base (None: a standard normal), with a network that embeds the context where it is asked for."""
    network, widths = None, widths_of("embedding", embedding)
    if widths:
        network = MLP(
            jax.random.fold_in(key, 1),
            context_dim,
            widths[-1],
            hidden=widths[:-1],
            activation=activation,
            start="random",
            dtype=dtype,
        )
    return Flow(bijection, Normal(bijection.dim, dtype=float_dtype(dtype)) if base is None else base, network)
