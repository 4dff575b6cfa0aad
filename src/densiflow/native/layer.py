"""Affine layers of masked networks through the compiled kernels, under JAX's transformations."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.native import build
from densiflow.networks.masked_mlp import MaskedMLP
from densiflow.scalars.affine import Affine

Rows = tuple[Array, Array]  # (dim, n) and (n,)
Pure = Callable[[Any, Array, Array | None], Rows]  # of the network, the rows and their contexts

ACTIVATIONS = ("relu", "tanh")  # in the kernels' own order
TARGETS = ("made_to_base", "made_to_data", "made_to_base_back")

derivatives = jax.make_user_context("all")
"""Which derivatives a program may ask for: ``with derivatives("reverse"):`` gives faster gradients and no tangents.

"all" takes every derivative through JAX, of any order; "reverse" takes gradients through the kernels, which is for a
training step; "none" leaves the kernels alone. Programs are compiled for each apart.
"""


@contextmanager
def gradients_only() -> Iterator[None]:
    """For a training step: as ``derivatives("reverse")``, except where the kernels are to be left alone."""
    with derivatives("none" if derivatives.value == "none" else "reverse"):
        yield


def available() -> bool:
    """Whether the kernels have been compiled for this machine, can be loaded and are not switched off."""
    return os.environ.get("DENSIFLOW_NATIVE", "1") != "0" and _loaded()


@cache
def _loaded() -> bool:
    """Load the library and make it known to JAX, once."""
    try:
        library = ctypes.CDLL(str(build.library()))
    except OSError:
        return False
    for name in TARGETS:
        jax.ffi.register_ffi_target(f"densiflow_{name}", jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    return True


def to_base(network: Any, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, x, context)``, through the kernels where they are and know the layer.

    .. math:: z_i = (x_i - \mu_i(x_{<i}))\, e^{-\alpha_i(x_{<i})}, \qquad \log|\det| = -\sum_i \alpha_i

    `pure` must depend on nothing but its arguments. Derivatives are those of `pure`, unless `derivatives` says
    otherwise.

    Shapes: x (dim, n), context (c, n) to z (dim, n), log_det (n,).
    """
    if not _knows(network, scalar, x):
        return pure(network, x, context)
    if derivatives.value == "reverse":
        return _trained(network, scalar, x, context, pure)
    return _scored("made_to_base", network, scalar, x, context, pure)


def to_data(network: Any, scalar: Any, z: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, z, context)``, through the kernels where they are and know the layer: one pass.

    .. math:: x_i = z_i\, e^{\alpha_i(x_{<i})} + \mu_i(x_{<i}), \qquad \log|\det| = \sum_i \alpha_i

    Shapes and the rest as in `to_base`.
    """
    if not _knows(network, scalar, z):
        return pure(network, z, context)
    return _scored("made_to_data", network, scalar, z, context, pure)


def _knows(network: Any, scalar: Any, x: Array) -> bool:
    return (
        isinstance(network, MaskedMLP)
        and network.activation in ACTIVATIONS
        and isinstance(scalar, Affine)
        and scalar.form == "exp"
        and all(leaf.dtype == jnp.float32 for leaf in (x, *jax.tree.leaves(network)))
        and derivatives.value != "none"
        and available()
    )


def _scored(name: str, network: MaskedMLP, scalar: Affine, x: Array, context: Array | None, pure: Pure) -> Rows:
    """The kernel's values with the derivatives of `pure`."""

    def kernel(network: MaskedMLP, x: Array, context: Array | None) -> Rows:
        z, log_det = _call(name, scalar, network, [x, *_arrays(network, context)], [x.shape, x.shape[1:]])
        return z, log_det

    @jax.custom_jvp
    def layer(network: MaskedMLP, x: Array, context: Array | None) -> Rows:
        return lax.platform_dependent(network, x, context, cpu=kernel, default=pure)

    @layer.defjvp
    def tangent(primals: Any, tangents: Any) -> tuple[Rows, Rows]:
        return jax.jvp(pure, primals, tangents)

    return layer(network, x, context)


def _trained(network: MaskedMLP, scalar: Affine, x: Array, context: Array | None, pure: Pure) -> Rows:
    """The kernel's values with the kernel's gradients."""
    said = [(len(weight), x.shape[1]) for weight in network.weights]  # by each product

    def kernel(network: MaskedMLP, x: Array, context: Array | None) -> tuple[Array, ...]:
        arrays = _arrays(network, context)
        return _call("made_to_base", scalar, network, [x, *arrays], [x.shape, x.shape[1:], *said])

    def elsewhere(network: MaskedMLP, x: Array, context: Array | None) -> tuple[Array, ...]:
        return (*pure(network, x, context), *(jnp.zeros(shape, x.dtype) for shape in said))

    def back_kernel(network: MaskedMLP, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        arrays = _arrays(network, context)
        shapes = [x.shape, *(array.shape for array in arrays)]
        slope_x, *slopes = _call("made_to_base_back", scalar, network, [x, *slope, *arrays, *kept], shapes)
        slope_network, slope_context = jax.vjp(_added, network, context)[1](slopes[1::2])
        return eqx.tree_at(lambda net: net.weights, slope_network, tuple(slopes[::2])), slope_x, slope_context

    def back_elsewhere(network: MaskedMLP, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        return jax.vjp(pure, network, x, context)[1](slope)

    @jax.custom_vjp
    def layer(network: MaskedMLP, x: Array, context: Array | None) -> Rows:
        return there(network, x, context)[0]

    def there(network: MaskedMLP, x: Array, context: Array | None) -> tuple[Rows, Any]:
        z, log_det, *kept = lax.platform_dependent(network, x, context, cpu=kernel, default=elsewhere)
        return (z, log_det), (network, x, context, kept)

    def back(seen: Any, slope: Rows) -> Any:
        return lax.platform_dependent(*seen, slope, cpu=back_kernel, default=back_elsewhere)

    layer.defvjp(there, back)
    return layer(network, x, context)


def _added(network: MaskedMLP, context: Array | None) -> list[Array]:
    return [network.added(k, context) for k in range(len(network.weights))]


def _arrays(network: MaskedMLP, context: Array | None) -> list[Array]:
    """Of each product the weight (out, in) and what is added to it, (out,) or (out, n)."""
    return [array for pair in zip(network.weights, _added(network, context), strict=True) for array in pair]


def _call(
    name: str, scalar: Affine, network: MaskedMLP, arrays: list[Array], shapes: list[tuple[int, ...]]
) -> tuple[Array, ...]:
    """A kernel. It has the masks as how many units, counted from the first, each unit reads of the layer before."""
    reach = [np.searchsorted(ends.read, ends.reader, side="right") for ends in network.ends()]
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return tuple(
        jax.ffi.ffi_call(f"densiflow_{name}", results, vmap_method="sequential")(
            *arrays,
            reach=np.concatenate(reach).astype(np.int32),
            activation=ACTIVATIONS.index(network.activation),
            scalar={"bound": np.float32(scalar.bound or 0.0)},
        )
    )
