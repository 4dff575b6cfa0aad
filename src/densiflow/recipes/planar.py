"""Planar flows."""

from collections.abc import Sequence

from jax import Array
from jax.typing import DTypeLike

from densiflow.bases import Base
from densiflow.flow import Flow
from densiflow.networks.masked_mlp import Start
from densiflow.precision import float_dtype
from densiflow.recipes.arguments import check_recipe, finished, seen_width, widths_of
from densiflow.recipes.declaration import declared
from densiflow.recipes.layers import planar_layers


@declared(
    formula=r"x = z + \hat u \tanh(w^\top z + b), \quad w^\top \hat u > -1",
    to_base="T, each a root search in one number",
    to_data="T",
    choose="few parameters, few columns: a bell with some bends",
    universal=False,
)
def planar(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 10,
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    start: Start = "identity",
    act_norm: bool = False,
    embedding: Sequence[int] = (),
    base: Base | None = None,
    dtype: DTypeLike | None = None,
) -> Flow:
    r"""A planar flow: each layer moves rows along one direction, by how far they lie along another.

    .. math:: x^{(t)} = x^{(t+1)} + \hat u_t \tanh(w_t^\top x^{(t+1)} + b_t), \qquad x^{(0)} = x, \; x^{(T)} = z

    It is invertible by construction and scores rows from elsewhere (see `bijections.Planar`), so it can be fitted to
    data. ``base=bases.Uniform(...)`` starts it from a box.

    Shapes: rows (dim,), context (context_dim,). ``hidden`` and ``activation`` are of the network that moves each
    layer's numbers with the context; the other arguments and the errors are those of `maf`.

    Source: Rezende & Mohamed 2015, "Variational inference with normalizing flows", section 4.1.

    >>> import jax
    >>> flow = planar(jax.random.key(0), dim=2, layers=3, start="random")
    >>> flow.log_prob(jax.numpy.zeros((5, 2))).shape
    (5,)
    """
    check_recipe(key, dim=dim, context_dim=context_dim, layers=layers)
    dtype = float_dtype(dtype)
    stack = planar_layers(
        key,
        layers=int(layers),
        act_norm=bool(act_norm),
        dim=int(dim),
        context_dim=seen_width(int(context_dim), embedding),
        hidden=widths_of("hidden", hidden),
        activation=activation,
        start=start,
        dtype=dtype,
    )
    return finished(
        stack, base, key, context_dim=int(context_dim), embedding=embedding, activation=activation, dtype=dtype
    )
