"""Autoregressive mixtures of normals: by themselves, and under a masked autoregressive flow."""

from collections.abc import Sequence
from typing import Unpack

import jax
from jax import Array

from densiflow.arguments import check_count
from densiflow.bases import AutoregressiveMixture
from densiflow.errors import ArgumentError
from densiflow.flow import Flow
from densiflow.recipes.arguments import check_recipe, seen_width, widths_of
from densiflow.recipes.autoregressive import AutoregressiveOptions, autoregressive_flow
from densiflow.recipes.declaration import declared
from densiflow.scalars import Affine, MixtureCDF
from densiflow.scalars.affine import ScaleForm


@declared(
    formula=r"\Phi(z_i) = \sum_k w_{ik}\, \Phi\left(\frac{x_i - \mu_{ik}}{s_{ik}}\right), \; (w, \mu, s)_i(x_{<i})",
    to_base="1",
    to_data="D, and a root search for each column",
    choose="columns of several modes; one column given a context; strong where a single order of columns is natural",
    universal=True,
)
def made_mog(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    components: int = 10,
    hidden: Sequence[int] = (128, 128),
    **options: Unpack[AutoregressiveOptions],
) -> Flow:
    r"""A masked autoencoder of mixtures: each column a mixture of normals, given the columns before it.

    .. math:: p(x) = \prod_i \sum_k w_{ik}\, \mathcal N(x_i;\, \mu_{ik}, s_{ik}^2), \qquad
              (w, \mu, s)_i = \theta_i(x_{<i}, c)

    As a flow: each column goes through its mixture's distribution function to a standard normal number. Untrained it
    is the standard normal; `training.fit` begins by setting the components side by side.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`, and ``components`` for each
    column.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.2 (MADE MoG).

    >>> import jax
    >>> flow = made_mog(jax.random.key(0), dim=2, components=3, hidden=(16,))
    >>> flow.sample(jax.random.key(1), 5).shape
    (5, 2)
    """
    check_count("components", components, 1)
    return autoregressive_flow(key, dim, context_dim, MixtureCDF(components), layers=1, hidden=hidden, **options)


@declared(
    formula=r"x = \text{MAF}(u), \quad u_i \sim \sum_k w_{ik}(u_{<i})\, \mathcal N(\mu_{ik}(u_{<i}), s_{ik}^2(u_{<i}))",
    to_base="T, and 1 for the base's density",
    to_data="T D, and D for the base's sample",
    choose="separate modes under bent dependence; the strongest affine flow on tables of many rows",
    universal=True,
)
def maf_mog(
    key: Array,
    dim: int,
    context_dim: int = 0,
    *,
    layers: int = 5,
    components: int = 10,
    hidden: Sequence[int] = (128, 128),
    scale: ScaleForm = "exp",
    bound: float | None = 3.0,
    **options: Unpack[AutoregressiveOptions],
) -> Flow:
    r"""A masked autoregressive flow on an autoregressive mixture of normals, which sees the context too.

    .. math:: \log p(x \mid c) = \sum_i \log \sum_k w_{ik}\, \mathcal N(u_i;\, \mu_{ik}, s_{ik}^2)
              + \log\left|\det \frac{\partial u}{\partial x}\right|, \qquad (w, \mu, s)_i = \theta_i(u_{<i}, c)

    `to_base` stops at u, where the mixture lives.

    Shapes: rows (dim,), context (context_dim,). Arguments and errors are those of `maf`, and ``components`` for each
    column of the base, whose network has the widths of a layer's. A ``base`` of one's own is an `ArgumentError`.

    Source: Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", section 3.2 (MAF MoG).

    >>> import jax
    >>> flow = maf_mog(jax.random.key(0), dim=2, layers=2, components=3, hidden=(16,))
    >>> flow.log_prob(jax.numpy.zeros((5, 2))).shape
    (5,)
    """
    check_recipe(key, dim=dim, context_dim=context_dim, components=components)
    if options.get("base") is not None:
        raise ArgumentError("maf_mog makes its own base; for another base take maf(..., base=...)")
    base = AutoregressiveMixture(
        jax.random.fold_in(key, 2),
        int(dim),
        seen_width(int(context_dim), options.get("embedding", ())),
        components=int(components),
        hidden=widths_of("hidden", hidden),
        activation=options.get("activation", "relu"),
        context_layers=options.get("context_layers", "first"),
        start=options.get("start", "identity"),
        dtype=options.get("dtype"),
    )
    options["base"] = base
    return autoregressive_flow(key, dim, context_dim, Affine(scale, bound), layers=layers, hidden=hidden, **options)
