"""Named flows, each a line or two over the grid {autoregressive} x {scalar map} x {conditioner}.

=======  =================================================================  ==================  ===================
recipe   what it is                                                         log_prob            sample
=======  =================================================================  ==================  ===================
`made`   one autoregressive affine layer on a normal base                   one network pass    dim passes
`maf`    several of them with permutations between                          ``layers`` passes   ``layers * dim``
=======  =================================================================  ==================  ===================
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from densiflow import rows
from densiflow.arguments import check_count
from densiflow.bases import Normal
from densiflow.bijections import Autoregressive, Chain, Permute, Stack
from densiflow.errors import ArgumentError
from densiflow.flow import Flow
from densiflow.networks.masked_mlp import ContextLayers, Start
from densiflow.precision import float_dtype
from densiflow.scalars import Affine
from densiflow.scalars.affine import ScaleForm

Permutation = Literal["reverse", "random"]


def made(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    hidden: Sequence[int] = (128, 128),
    activation: str = "relu",
    start: Start = "identity",
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    context_layers: ContextLayers = "first",
    dtype: DTypeLike | None = None,
) -> Flow:
    r"""A masked autoencoder as a density by itself: each column normal, given the columns before it.

    .. math:: p(x) = \prod_i \mathcal N\left(x_i;\, \mu_i(x_{<i}, c),\, e^{2 \alpha_i(x_{<i}, c)}\right)

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`.

    Source: Germain et al. 2015, "MADE: masked autoencoder for distribution estimation"; as a flow, Papamakarios
    et al. 2017, eq. 1 to 3.

    >>> flow = made(jax.random.key(0), dim=3, hidden=(16,))
    >>> flow.log_prob(jnp.zeros((10, 3))).shape
    (10,)
    """
    return maf(
        key,
        dim,
        context_dim,
        layers=1,
        hidden=hidden,
        activation=activation,
        start=start,
        scale=scale,
        bound=bound,
        context_layers=context_layers,
        dtype=dtype,
    )


def maf(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (128, 128),
    activation: str = "relu",
    start: Start = "identity",
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    permutation: Permutation = "reverse",
    context_layers: ContextLayers = "first",
    dtype: DTypeLike | None = None,
) -> Flow:
    r"""A masked autoregressive flow: MADE layers with permutations between, on a standard normal base.

    .. math:: x^{(t)}_i = x^{(t+1)}_i\, e^{\alpha_i(x^{(t)}_{<i}, c)} + \mu_i(x^{(t)}_{<i}, c), \qquad
              x^{(0)} = x, \; x^{(T)} = z

    With one column (``dim=1``) an affine flow stays normal given its context, at any depth: it can move and
    stretch the normal with the context and nothing else.

    Args:
        key: a JAX random key, for the initial weights.
        dim: columns of a row.
        context_dim: width of the context; every layer sees it; 0 takes none.
        layers: MADE layers.
        hidden: widths of the hidden layers of each MADE.
        activation: "relu", "tanh", "sigmoid", "silu" or "gelu".
        start: "identity", so that the untrained flow is its standardised base, or "random", plain initial weights.
        scale: how each scale is made of what the network says; see `scalars.Affine`.
        bound: the soft bound of log-scales for ``scale="exp"``; None for no bound.
        permutation: between layers, "reverse" or "random". After the last layer nothing is mixed.
        context_layers: the context enters the "first" product of each network, or "all".
        dtype: "float32" or "float64"; None takes JAX's default float.

    Raises `ArgumentError` for an option not offered, `KeyTypeError` for an int as key, `PrecisionError` for float64
    while JAX has it switched off.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.

    >>> flow = maf(jax.random.key(0), dim=2, context_dim=1, layers=3, hidden=(16, 16))
    >>> flow.sample(jax.random.key(1), 5, context=jnp.array([0.5])).shape
    (5, 2)
    """
    if not rows.is_traced(key):
        rows.check_key(key)
    check_count("dim", dim, 1)
    check_count("context_dim", context_dim, 0)
    check_count("layers", layers, 1)
    if not isinstance(hidden, Sequence):
        raise ArgumentError(f"hidden must be a sequence of widths such as (128, 128), got {hidden!r}")
    for width in hidden:
        check_count("every hidden width", width, 1)
    if permutation not in get_args(Permutation):
        raise ArgumentError(f"permutation must be one of {', '.join(get_args(Permutation))}, got {permutation!r}")
    dtype = float_dtype(dtype)
    stack = _maf_layers(
        key,
        dim=int(dim),
        context_dim=int(context_dim),
        layers=int(layers),
        permutation=permutation,
        hidden=tuple(int(width) for width in hidden),
        activation=activation,
        scalar=Affine(scale, bound),
        context_layers=context_layers,
        start=start,
        dtype=dtype,
    )
    return Flow(stack, Normal(int(dim), dtype=dtype))


@partial(jax.jit, static_argnames=("dim", "context_dim", "layers", "permutation", "hidden", "activation", "scalar",
                                   "context_layers", "start", "dtype"))  # fmt: skip
def _maf_layers(key: Array, *, dim: int, layers: int, permutation: str, **network: Any) -> Stack:
    """All layers in one small program, stacked as they are made."""

    def layer(key: Array, permutation: Array) -> Chain:
        return Chain([Autoregressive(key, dim, **network), Permute(permutation)])

    weights_key, permutation_key = jax.random.split(key)
    if permutation == "random":
        order = jax.vmap(lambda key: jax.random.permutation(key, dim))(jax.random.split(permutation_key, layers))
    else:
        order = jnp.tile(jnp.arange(dim)[::-1], (layers, 1))
    order = order.at[-1].set(jnp.arange(dim))  # nothing follows the last layer that a permutation could help
    return Stack(jax.vmap(layer)(jax.random.split(weights_key, layers), order), layers)
