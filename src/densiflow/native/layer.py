"""Layers of masked networks through the compiled kernels, under JAX's transformations."""

from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.native.library import available, derivatives
from densiflow.native.scalars import Kernels, kernels_of
from densiflow.networks.masked_mlp import MaskedMLP

Rows = tuple[Array, Array]  # (dim, n) and (n,)
Pure = Callable[[Any, Array, Array | None], Rows]  # of the network, the rows and their contexts

ACTIVATIONS = ("relu", "tanh")  # in the kernels' own order


def to_base(network: Any, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, x, context)``, through the kernels where they are and know the layer.

    .. math:: z_i = \tau^{-1}(x_i;\, \theta_i(x_{<i}, c)), \qquad \log|\det| = \sum_i \log \frac{dz_i}{dx_i}

    `pure` must depend on nothing but its arguments. Derivatives are those of `pure`, unless `derivatives` says
    otherwise.

    Shapes: x (dim, n), context (c, n) to z (dim, n), log_det (n,).
    """
    if not _knows(network, scalar, x):
        return pure(network, x, context)
    if derivatives.value == "reverse":
        return _trained(network, scalar, x, context, pure)
    return _scored("to_base", network, scalar, x, context, pure)


def to_data(network: Any, scalar: Any, z: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, z, context)``, through the kernels where they are and know the layer: one pass.

    .. math:: x_i = \tau(z_i;\, \theta_i(x_{<i}, c)), \qquad \log|\det| = \sum_i \log \frac{dx_i}{dz_i}

    Shapes and the rest as in `to_base`.
    """
    if not _knows(network, scalar, z):
        return pure(network, z, context)
    return _scored("to_data", network, scalar, z, context, pure)


def _knows(network: Any, scalar: Any, x: Array) -> bool:
    return (
        isinstance(network, MaskedMLP)
        and network.activation in ACTIVATIONS
        and kernels_of(scalar) is not None
        and all(leaf.dtype == jnp.float32 for leaf in (x, *jax.tree.leaves(network)))
        and derivatives.value != "none"
        and available()
    )


def _scored(name: str, network: MaskedMLP, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
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


def _trained(network: MaskedMLP, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
    """The kernel's values with the kernel's gradients."""
    said = [(len(weight), x.shape[1]) for weight in network.weights]  # by each product

    def kernel(network: MaskedMLP, x: Array, context: Array | None) -> tuple[Array, ...]:
        arrays = _arrays(network, context)
        return _call("to_base", scalar, network, [x, *arrays], [x.shape, x.shape[1:], *said])

    def elsewhere(network: MaskedMLP, x: Array, context: Array | None) -> tuple[Array, ...]:
        return (*pure(network, x, context), *(jnp.zeros(shape, x.dtype) for shape in said))

    def back_kernel(network: MaskedMLP, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        arrays = _arrays(network, context)
        shapes = [x.shape, *(array.shape for array in arrays)]
        slope_x, *slopes = _call("to_base_back", scalar, network, [x, *slope, *arrays, *kept], shapes)
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
    name: str, scalar: Any, network: MaskedMLP, arrays: list[Array], shapes: list[tuple[int, ...]]
) -> tuple[Array, ...]:
    """A kernel. It has the masks as how many units, counted from the first, each unit reads of the layer before."""
    reach = [np.searchsorted(ends.read, ends.reader, side="right") for ends in network.ends()]
    family, told = cast(Kernels, kernels_of(scalar))
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return tuple(
        jax.ffi.ffi_call(f"densiflow_{family}_{name}", results, vmap_method="sequential")(
            *arrays,
            reach=np.concatenate(reach).astype(np.int32),
            activation=ACTIVATIONS.index(network.activation),
            scalar=told,
        )
    )
