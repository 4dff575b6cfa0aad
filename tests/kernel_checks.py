"""What the tests of the compiled kernels share: layers and comparisons with the plain path."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from densiflow import native
from densiflow.bijections import Autoregressive
from densiflow.networks.masked_mlp import MaskedMLP

DIRECTIONS = ("to_base", "to_data")


def moved_network(dim, context_dim, parameters, options):
    """Weights that training has moved, above the stairs of each mask too, where no product may read them."""
    network = MaskedMLP(jax.random.key(1), dim, context_dim, parameters=parameters, start="random", **options)
    keys = iter(jax.random.split(jax.random.key(2), 99))
    return jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(next(keys), leaf.shape) / leaf.shape[-1], network)


def rows_of(network, n, seed=3, spread=1.0):
    """Rows (dim, n), and contexts where the network takes any."""
    x = spread * jax.random.normal(jax.random.key(seed), (network.dim, n))
    given = jax.random.normal(jax.random.key(seed + 1), (network.context_dim, n)) if network.context_dim else None
    return x, given


def plain(direction, scalar, network, x, context=None):
    """A row at a time, to data a column at a time."""
    bijection = Autoregressive.of(network, scalar)
    return jax.vmap(getattr(bijection, direction), in_axes=1, out_axes=(1, 0))(x, context)


def fast(direction, scalar, network, x, context=None):
    return getattr(native, direction)(network, scalar, x, context, partial(plain, direction, scalar))


def in_float64(tree):
    """The same tree with every floating leaf as NumPy's float64."""

    def wide(leaf):
        return np.asarray(leaf, np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else np.asarray(leaf)

    return jax.tree.map(wide, tree)


def exact(function, *args):
    """The function computed in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*in_float64(args)))


def lowered(function, *args):
    """The program that a call would compile."""
    return jax.jit(function).lower(*args).as_text()


def assert_close(found, wanted, tolerance):
    """Relative to the largest entry of each array."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (1 + float(np.max(np.abs(b), initial=0.0))))


def fixed_loss(rows):
    """Of any slopes in z and log_det, which do not depend on these: so nothing magnifies their rounding."""
    z, log_det = rows
    slopes = jnp.sin(1.0 + jnp.arange(z.size + log_det.size))
    return jnp.dot(slopes, jnp.concatenate([z.ravel(), log_det]))


def assert_masked(network, slope):
    """Gradients of weights above the stairs are zero."""
    masks = (ends.reader[:, None] >= ends.read for ends in network.ends())
    for mask, weight in zip(masks, slope.weights, strict=True):
        assert not np.any(np.asarray(weight)[~mask])
