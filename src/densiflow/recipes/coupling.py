"""Coupling flows: NICE and RealNVP."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
from jax import Array
from jax.typing import DTypeLike

from densiflow.arguments import check_offered
from densiflow.bases import Base
from densiflow.bijections import Bijection, Chain, Elementwise
from densiflow.bijections.coupling import passing_columns
from densiflow.flow import Flow
from densiflow.networks.masked_mlp import Start
from densiflow.precision import float_dtype
from densiflow.recipes.arguments import check_recipe, finished, seen_width, widths_of
from densiflow.recipes.declaration import declared
from densiflow.recipes.layers import Partition, coupling_layers
from densiflow.scalars import Affine, ScalarMap, Shift
from densiflow.scalars.affine import ScaleForm


class CouplingOptions(TypedDict, total=False):
    """The options that every coupling recipe takes; `real_nvp` says what each means."""

    activation: str
    start: Start
    passing: int | Sequence[int] | None
    permutation: Partition
    act_norm: bool
    embedding: Sequence[int]
    base: Base | None
    dtype: DTypeLike | None


def coupling_flow(
    key: Array,
    dim: int,
    context_dim: int,
    scalar: ScalarMap,
    *,
    layers: int,
    hidden: Sequence[int],
    activation: str = "relu",
    start: Start = "identity",
    passing: int | Sequence[int] | None = None,
    permutation: Partition = "alternate",
    act_norm: bool = False,
    embedding: Sequence[int] = (),
    base: Base | None = None,
    dtype: DTypeLike | None = None,
    last: Sequence[Bijection] = (),
) -> Flow:
    """Coupling layers of that scalar map on a base, with `last` between them and the base."""
    check_recipe(key, dim=dim, context_dim=context_dim, layers=layers)
    check_offered("permutation", permutation, Partition)
    dtype = float_dtype(dtype)
    couplings = coupling_layers(
        key,
        layers=int(layers),
        permutation=permutation,
        act_norm=bool(act_norm),
        passing=passing_columns(passing, int(dim)),
        dim=int(dim),
        context_dim=seen_width(int(context_dim), embedding),
        hidden=widths_of("hidden", hidden),
        activation=activation,
        scalar=scalar,
        start=start,
        dtype=dtype,
    )
    options: dict[str, Any] = {"context_dim": int(context_dim), "embedding": embedding, "activation": activation}
    return finished(Chain([couplings, *last]) if last else couplings, base, key, dtype=dtype, **options)


@declared(
    formula=r"x = s \odot h, \quad h_P = z_P, \quad h_i = z_i + m_i(z_P) \text{ for } i \notin P",
    to_base="T",
    to_data="T",
    choose="volume kept but for one scale a column: the simplest flow, rarely the best",
    universal=False,
    least_dim=2,
)
def nice(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 4,
    hidden: Sequence[int] = (128, 128),
    **options: Unpack[CouplingOptions],
) -> Flow:
    r"""NICE: additive coupling layers, then one diagonal scaling layer next to the base.

    .. math:: x_P = h_P, \qquad x_i = h_i + m_i(h_P, c) \;\text{ for } i \notin P, \qquad h = s \odot z

    The couplings keep volume, so the log_det is the scaling's alone.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `real_nvp`.

    Source: Dinh et al. 2015, "NICE: non-linear independent components estimation", sections 3.2 and 3.3.

    >>> import jax
    >>> flow = nice(jax.random.key(0), dim=4, layers=3, hidden=(16,), start="random")
    >>> bool(flow.to_base(jax.numpy.arange(4.0))[1] == 0)  # the scales are still 1
    True
    """
    check_recipe(key, dim=dim)
    scaling = [Elementwise(None, np.ones(int(dim), float_dtype(options.get("dtype"))))]
    return coupling_flow(key, dim, context_dim, Shift(), layers=layers, hidden=hidden, last=scaling, **options)


@declared(
    formula=r"x_P = z_P, \quad x_i = z_i\, e^{\alpha_i(z_P)} + \mu_i(z_P) \text{ for } i \notin P",
    to_base="T",
    to_data="T",
    choose="both directions fast at any number of columns: pictures, simulators that must sample and score",
    universal=True,
    least_dim=2,
)
def real_nvp(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (128, 128),
    activation: str = "relu",
    start: Start = "identity",
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    passing: int | Sequence[int] | None = None,
    permutation: Partition = "alternate",
    act_norm: bool = False,
    embedding: Sequence[int] = (),
    base: Base | None = None,
    dtype: DTypeLike | None = None,
) -> Flow:
    r"""RealNVP: affine coupling layers in which other columns pass every time.

    .. math:: x_P = z_P, \qquad x_i = z_i\, e^{\alpha_i(z_P, c)} + \mu_i(z_P, c) \;\text{ for } i \notin P

    Args:
        key: a JAX random key, for the initial weights.
        dim: columns of a row, at least 2.
        context_dim: width of the context; every layer sees it; 0 takes none.
        layers: coupling layers. One alone leaves its passing columns as they are.
        hidden: widths of the hidden layers of each layer's network.
        activation: "relu", "tanh", "sigmoid", "silu", "gelu" or another that `networks.activations` offers.
        start: "identity", so that the untrained flow is its standardised base, or "random", plain initial weights.
        scale: how each scale is made of what the network says; see `scalars.Affine`.
        bound: the soft bound of log-scales for ``scale="exp"`` and "softsign"; None for no bound.
        passing: the columns P that pass in the first layer: how many of the first, or which; None is the first half.
            The others pass in the second, and so on in turn.
        permutation: "alternate" keeps that partition, "random" shuffles the columns before every two layers, "lu"
            mixes them linearly before every layer, learned; see `bijections.Linear.mixing`.
        act_norm: whether each layer begins with a shift and scale of its own, set from the data; see
            `bijections.ActNorm`.
        embedding: widths of a network that makes of the context what all layers see, the last one its output; empty for
            none.
        base: where z lives; None is a standard normal.
        dtype: "float32" or "float64"; None takes JAX's default float.

    Raises `ArgumentError` for fewer than 2 columns or an option not offered, `KeyTypeError` for an int as key,
    `PrecisionError` for float64 while JAX has it switched off.

    Source: Dinh et al. 2017, "Density estimation using Real NVP", eq. 4 to 8.

    >>> import jax
    >>> flow = real_nvp(jax.random.key(0), dim=3, layers=4, hidden=(16,), passing=1)
    >>> flow.sample(jax.random.key(1), 5).shape
    (5, 3)
    """
    return coupling_flow(
        key,
        dim,
        context_dim,
        Affine(scale, bound),
        layers=layers,
        hidden=hidden,
        activation=activation,
        start=start,
        passing=passing,
        permutation=permutation,
        act_norm=act_norm,
        embedding=embedding,
        base=base,
        dtype=dtype,
    )
