"""The ways in which an autoregressive bijection can go to data, and the choice between them."""

from contextlib import AbstractContextManager
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.arguments import check_offered
from densiflow.networks.conditioner import AutoregressiveConditioner
from densiflow.scalars.base import ScalarMap

Way = Literal["auto", "one pass", "column by column", "jacobi"]

_chosen = jax.make_user_context("auto")


def inversion(way: Way) -> AbstractContextManager[None]:
    """Force the way in which autoregressive layers go to data, in a ``with`` block.

    "auto" takes one pass of the network, through compiled kernels where these are and know the layer; "one pass" takes
    it in JAX; "column by column" takes a pass for every column; "jacobi" iterates whole passes until no number moves
    by more than rounding, see `jacobi`. The first three are the same numbers to rounding. Programs are compiled for
    each apart. Raises `ArgumentError` for another way.

    >>> import jax
    >>> from densiflow import recipes
    >>> flow = recipes.maf(jax.random.key(0), dim=3, layers=2, hidden=(8,), start="random")
    >>> with inversion("column by column"):
    ...     x = flow.sample(jax.random.key(1), 4)
    >>> bool(jnp.allclose(x, flow.sample(jax.random.key(1), 4), atol=1e-5))
    True
    """
    check_offered("inversion", way, Way)
    context: AbstractContextManager[None] = _chosen(way)
    return context


def chosen_inversion() -> Way:
    """The way that `inversion` has set."""
    way: Way = _chosen.value
    return way


def jacobi(
    scalar: ScalarMap,
    network: AutoregressiveConditioner,
    z: Array,
    context: Array | None = None,
    tolerance: float | None = None,
) -> tuple[Array, Array, Array]:
    r"""Many rows to data by iteration: z (dim, n), context (c, n) to x (dim, n), log_det (n,), residual (n,).

    .. math:: x^{(k+1)}_i = \tau(z_i;\, \theta_i(x^{(k)}_{<i}, c)), \qquad r = \max_i |x^{(k+1)}_i - x^{(k)}_i|

    Each iteration is a whole pass, and makes at least one more column right: after `dim` of them all are. It ends
    earlier when no number moves by more than `tolerance` times one plus its size (None: four roundings). So its cost
    depends on the rows, and it can be differentiated in forward mode alone. It pays where passes are wide and columns
    depend little on each other, on a GPU above all.

    Source: Song et al. 2021, "Accelerating feedforward computation via parallel nonlinear equation solving",
    algorithm 1.
    """
    allowed = 4 * float(np.finfo(z.dtype).eps) if tolerance is None else tolerance

    def improved(x: Array) -> tuple[Array, Array]:
        theta = jax.vmap(network, in_axes=1, out_axes=2)(x, context)
        x, log_slope = scalar.to_data(z, jnp.moveaxis(theta, 1, -1))
        return x, jnp.sum(log_slope, axis=0)

    def moves(state: tuple[Array, Array, Array, Array]) -> Array:
        k, x, _, residual = state
        return (k < network.dim) & jnp.any(residual > allowed * (1 + jnp.max(jnp.abs(x), axis=0)))

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, x, _, _ = state
        better, log_det = improved(x)
        return k + 1, better, log_det, jnp.max(jnp.abs(better - x), axis=0)

    start = (jnp.zeros((), jnp.int32), z, jnp.zeros_like(z[0]), jnp.full_like(z[0], jnp.inf))
    _, x, log_det, residual = lax.while_loop(moves, step, start)
    return x, log_det, residual
