"""Masked autoregressive flows with affine maps: one layer, several, and several read the other way."""

from collections.abc import Sequence
from typing import Unpack

from jax import Array
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from densiflow.bases import Base
from densiflow.flow import Flow
from densiflow.networks.masked_mlp import ContextLayers, Start
from densiflow.recipes.autoregressive import AutoregressiveOptions, autoregressive_flow
from densiflow.recipes.declaration import declared
from densiflow.recipes.layers import Permutation
from densiflow.scalars import Affine
from densiflow.scalars.affine import ScaleForm


@declared(
    formula=r"x_i = z_i\, e^{\alpha_i(x_{<i})} + \mu_i(x_{<i})",
    to_base="1",
    to_data="D",
    choose="a baseline: each column a bell whose place and width depend on the columns before it",
    universal=False,
)
def made(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    hidden: Sequence[int] = (128, 128),
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    **options: Unpack[AutoregressiveOptions],
) -> Flow:
    r"""A masked autoencoder as a density by itself: each column normal, given the columns before it.

    .. math:: p(x) = \prod_i \mathcal N\left(x_i;\, \mu_i(x_{<i}, c),\, e^{2 \alpha_i(x_{<i}, c)}\right)

    This is the Gaussian autoregressive model as a flow: sampling it step by step is `to_data`.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`.

    Source: Germain et al. 2015, "MADE: masked autoencoder for distribution estimation"; as a flow, Papamakarios
    et al. 2017, eq. 1 to 3.

    >>> import jax
    >>> flow = made(jax.random.key(0), dim=3, hidden=(16,))
    >>> flow.log_prob(jax.numpy.zeros((10, 3))).shape
    (10,)
    """
    return autoregressive_flow(key, dim, context_dim, Affine(scale, bound), layers=1, hidden=hidden, **options)


@declared(
    formula=r"x^{(t)}_i = x^{(t+1)}_i\, e^{\alpha_i(x^{(t)}_{<i})} + \mu_i(x^{(t)}_{<i})",
    to_base="T",
    to_data="T D",
    choose="tables and simulations: fast to fit and to score; the first to try",
    universal=True,
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
    order: ArrayLike | None = None,
    act_norm: bool = False,
    context_layers: ContextLayers = "first",
    embedding: Sequence[int] = (),
    base: Base | None = None,
    dtype: DTypeLike | None = None,
) -> Flow:
    r"""A masked autoregressive flow: MADE layers with permutations between, on a standard normal base.

    .. math:: x^{(t)}_i = x^{(t+1)}_i\, e^{\alpha_i(x^{(t)}_{<i}, c)} + \mu_i(x^{(t)}_{<i}, c), \qquad
              x^{(0)} = x, \; x^{(T)} = z

    With one column (``dim=1``) an affine flow stays normal given its context, at any depth: it can move and
    stretch the normal with the context and nothing else. For one column of two modes take `neural_spline`, `made_mog`
    or `maf_mog`.

    Args:
        key: a JAX random key, for the initial weights.
        dim: columns of a row.
        context_dim: width of the context; every layer sees it; 0 takes none.
        layers: MADE layers.
        hidden: widths of the hidden layers of each MADE.
        activation: "relu", "tanh", "sigmoid", "silu", "gelu" or another that `networks.activations` offers.
        start: "identity", so that the untrained flow is its standardised base, or "random", plain initial weights.
        scale: how each scale is made of what the network says; see `scalars.Affine`.
        bound: the soft bound of log-scales for ``scale="exp"`` and "softsign"; None for no bound.
        permutation: between layers, "reverse" or "random", after the last of which nothing is mixed; or "lu", learned
            linear mixing, see `bijections.Linear.mixing`.
        order: the columns in the order each layer reads them in, a permutation of 0 .. dim - 1; None reads them as
            they stand, and makes each Jacobian a lower triangle.
        act_norm: whether each layer begins with a shift and scale of its own, set from the data; see
            `bijections.ActNorm`.
        context_layers: the context enters the "first" product of each network, or "all".
        embedding: widths of a network that makes of the context what all layers see, the last one its output; empty for
            none.
        base: where z lives; None is a standard normal.
        dtype: "float32" or "float64"; None takes JAX's default float.

    Raises `ArgumentError` for an option not offered, `KeyTypeError` for an int as key, `PrecisionError` for float64
    while JAX has it switched off.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.

    >>> import jax
    >>> flow = maf(jax.random.key(0), dim=2, context_dim=1, layers=3, hidden=(16, 16))
    >>> flow.sample(jax.random.key(1), 5, context=jax.numpy.array([0.5])).shape
    (5, 2)
    """
    return autoregressive_flow(
        key,
        dim,
        context_dim,
        Affine(scale, bound),
        layers=layers,
        hidden=hidden,
        activation=activation,
        start=start,
        permutation=permutation,
        order=order,
        act_norm=act_norm,
        context_layers=context_layers,
        embedding=embedding,
        base=base,
        dtype=dtype,
    )


@declared(
    formula=r"z^{(t)}_i = z^{(t-1)}_i\, e^{\alpha_i(z^{(t)}_{<i})} + \mu_i(z^{(t)}_{<i})",
    to_base="T D",
    to_data="T",
    choose="variational posteriors and fast simulators: samples, and scores what it drew, in one pass",
    universal=True,
)
def iaf(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (128, 128),
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    **options: Unpack[AutoregressiveOptions],
) -> Flow:
    r"""An inverse autoregressive flow: `maf` with its directions swapped, so that sampling takes one pass a layer.

    .. math:: x_i = (z_i - \mu_i(z_{<i}, c))\, e^{-\alpha_i(z_{<i}, c)} \quad\text{in each layer}

    Its own samples have their densities for nothing (`Flow.sample_and_log_prob`), which is what `training.fit_target`
    needs; rows from elsewhere cost a pass for every column. An `act_norm` in it starts at the identity: no rows can
    set it.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`.

    Source: Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", eq. 10 to 14.

    >>> import jax
    >>> flow = iaf(jax.random.key(0), dim=2, layers=2, hidden=(16,))
    >>> x, log_prob = flow.sample_and_log_prob(jax.random.key(1), 5)
    >>> bool(jax.numpy.allclose(log_prob, flow.log_prob(x), atol=1e-4))
    True
    """
    return autoregressive_flow(
        key, dim, context_dim, Affine(scale, bound), layers=layers, hidden=hidden, swapped=True, **options
    )
