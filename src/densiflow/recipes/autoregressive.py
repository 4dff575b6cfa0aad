"""What all autoregressive recipes share: their options, and how layers become a flow."""

from collections.abc import Sequence
from typing import TypedDict

from jax import Array
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from densiflow.arguments import check_offered
from densiflow.bases import Base
from densiflow.bijections import Inverse
from densiflow.bijections.permute import checked_permutation
from densiflow.flow import Flow
from densiflow.networks.masked_mlp import ContextLayers, Start
from densiflow.precision import float_dtype
from densiflow.recipes.arguments import check_recipe, finished, seen_width, widths_of
from densiflow.recipes.layers import Permutation, autoregressive_layers
from densiflow.scalars import ScalarMap


class AutoregressiveOptions(TypedDict, total=False):
    """The options that every autoregressive recipe takes; `maf` says what each means."""

    activation: str
    start: Start
    permutation: Permutation
    order: ArrayLike | None
    act_norm: bool
    context_layers: ContextLayers
    embedding: Sequence[int]
    base: Base | None
    dtype: DTypeLike | None


def autoregressive_flow(
    key: Array,
    dim: int,
    context_dim: int,
    scalar: ScalarMap,
    *,
    layers: int,
    hidden: Sequence[int],
    activation: str = "relu",
    start: Start = "identity",
    permutation: Permutation = "reverse",
    order: ArrayLike | None = None,
    act_norm: bool = False,
    context_layers: ContextLayers = "first",
    embedding: Sequence[int] = (),
    base: Base | None = None,
    dtype: DTypeLike | None = None,
    swapped: bool = False,
) -> Flow:
    """Layers of that scalar map on a base; `swapped` reads them from base to data."""
    check_recipe(key, dim=dim, context_dim=context_dim, layers=layers)
    check_offered("permutation", permutation, Permutation)
    dtype = float_dtype(dtype)
    stack = autoregressive_layers(
        key,
        None if order is None else checked_permutation(order, dim),
        layers=int(layers),
        permutation=permutation,
        act_norm=bool(act_norm),
        dim=int(dim),
        context_dim=seen_width(int(context_dim), embedding),
        hidden=widths_of("hidden", hidden),
        activation=activation,
        scalar=scalar,
        context_layers=context_layers,
        start=start,
        dtype=dtype,
    )
    return finished(
        Inverse(stack) if swapped else stack,
        base,
        key,
        context_dim=int(context_dim),
        embedding=embedding,
        activation=activation,
        dtype=dtype,
    )
