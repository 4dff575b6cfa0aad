"""Layers of masked networks through the compiled kernels, under JAX's transformations."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

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
TILE = 64  # rows of data that the kernels take together


class Layers(NamedTuple):
    """Layers of one structure, from data to base, whose columns come in orders of their own."""

    networks: MaskedMLP  # every array with a leading axis (depth, ...)
    orders: Array  # (depth + 1, dim): which of the columns before it each layer reads as its own; last, which are z


def to_base(network: Any, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, x, context)``, through the kernels where they are and know the layer.

    .. math:: z_i = \tau^{-1}(x_i;\, \theta_i(x_{<i}, c)), \qquad \log|\det| = \sum_i \log \frac{dz_i}{dx_i}

    `pure` must depend on nothing but its arguments. Derivatives are those of `pure`, unless `derivatives` says
    otherwise.

    Shapes: x (dim, n), context (c, n) to z (dim, n), log_det (n,).
    """
    if not _knows(network, scalar, x, context):
        return pure(network, x, context)
    return _to_base(_alone(network), scalar, x, context, partial(_of_one, pure))


def to_data(network: Any, scalar: Any, z: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, z, context)``, through the kernels where they are and know the layer: one pass.

    .. math:: x_i = \tau(z_i;\, \theta_i(x_{<i}, c)), \qquad \log|\det| = \sum_i \log \frac{dx_i}{dz_i}

    Shapes and the rest as in `to_base`.
    """
    if not _knows(network, scalar, z, context):
        return pure(network, z, context)
    return _scored("to_data", _alone(network), scalar, z, context, partial(_of_one, pure))


def all_to_base(layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows | None:
    """As `to_base` through layer after layer; None where the kernels don't know them. `pure` is that of one layer."""
    if not _knows(layers.networks, scalar, x, context):
        return None
    return _to_base(layers, scalar, x, context, partial(_one_by_one_to_base, pure))


def all_to_data(layers: Layers, scalar: Any, z: Array, context: Array | None, pure: Pure) -> Rows | None:
    """As `to_data` through layer after layer, from the last to the first, and the rest as in `all_to_base`."""
    if not _knows(layers.networks, scalar, z, context):
        return None
    return _scored("to_data", layers, scalar, z, context, partial(_one_by_one_to_data, pure))


def _knows(network: Any, scalar: Any, x: Array, context: Array | None) -> bool:
    return (
        isinstance(network, MaskedMLP)
        and network.activation in ACTIVATIONS
        and kernels_of(scalar) is not None
        and all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((x, context, network)))
        and derivatives.value != "none"
        and available()
    )


def _alone(network: MaskedMLP) -> Layers:
    """One layer, whose columns stay in place."""
    as_they_are = np.tile(np.arange(network.dim, dtype=np.int32), (2, 1))
    return Layers(jax.tree.map(lambda leaf: leaf[None], network), jnp.asarray(as_they_are))


def _of_one(pure: Pure, layers: Layers, x: Array, context: Array | None) -> Rows:
    return pure(jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[1:]), layers.networks), x, context)


def _one_by_one_to_base(pure: Pure, layers: Layers, x: Array, context: Array | None) -> Rows:
    def layer(carry: Rows, layer: tuple[MaskedMLP, Array]) -> tuple[Rows, None]:
        network, order = layer
        z, log_det = pure(network, carry[0][order], context)
        return (z, carry[1] + log_det), None

    (z, log_det), _ = lax.scan(layer, (x, jnp.zeros_like(x[0])), (layers.networks, layers.orders[:-1]))
    return z[layers.orders[-1]], log_det


def _one_by_one_to_data(pure: Pure, layers: Layers, z: Array, context: Array | None) -> Rows:
    places = jnp.argsort(layers.orders)

    def layer(carry: Rows, layer: tuple[MaskedMLP, Array]) -> tuple[Rows, None]:
        network, place = layer
        x, log_det = pure(network, carry[0][place], context)
        return (x, carry[1] + log_det), None

    (x, log_det), _ = lax.scan(layer, (z, jnp.zeros_like(z[0])), (layers.networks, places[1:]), reverse=True)
    return x[places[0]], log_det


def _to_base(layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Callable[..., Rows]) -> Rows:
    if derivatives.value == "reverse":
        return _trained(layers, scalar, x, context, pure)
    return _scored("to_base", layers, scalar, x, context, pure)


def _scored(name: str, layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Callable[..., Rows]) -> Rows:
    """The kernel's values with the derivatives of `pure`."""

    def kernel(layers: Layers, x: Array, context: Array | None) -> Rows:
        arrays = [x, _given(context, x), layers.orders, *_arrays(layers.networks)]
        z, log_det = _call(name, scalar, layers.networks, arrays, [x.shape, x.shape[1:]])
        return z, log_det

    @jax.custom_jvp
    def through(layers: Layers, x: Array, context: Array | None) -> Rows:
        return lax.platform_dependent(layers, x, context, cpu=kernel, default=pure)

    @through.defjvp
    def tangent(primals: Any, tangents: Any) -> tuple[Rows, Rows]:
        return jax.jvp(pure, primals, tangents)

    return through(layers, x, context)


def _trained(layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Callable[..., Rows]) -> Rows:
    """The kernel's values with the kernel's gradients."""
    # what each network reads and what each of its products says, tile after tile
    depth, tiles = len(layers.orders) - 1, -(-x.shape[1] // TILE)
    kept = [(depth, tiles, units, TILE) for units in (len(x), *(w.shape[1] for w in layers.networks.weights))]

    def kernel(layers: Layers, x: Array, context: Array | None) -> tuple[Array, ...]:
        arrays = [x, _given(context, x), layers.orders, *_arrays(layers.networks)]
        return _call("to_base", scalar, layers.networks, arrays, [x.shape, x.shape[1:], *kept])

    def elsewhere(layers: Layers, x: Array, context: Array | None) -> tuple[Array, ...]:
        return (*pure(layers, x, context), *(jnp.zeros(shape, x.dtype) for shape in kept))

    def back_kernel(layers: Layers, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        networks, orders = layers
        arrays, given = _arrays(networks), _given(context, x)
        shapes = [array.shape for array in (x, given, *arrays)]
        slopes = _call("to_base_back", scalar, networks, [*slope, given, orders, *arrays, *kept], shapes)
        slope_x, slope_given, *of_arrays = slopes
        return _with_arrays(networks, of_arrays), slope_x, None if context is None else slope_given

    def back_elsewhere(layers: Layers, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        def of(networks: MaskedMLP, x: Array, context: Array | None) -> Rows:
            return pure(Layers(networks, layers.orders), x, context)

        return jax.vjp(of, layers.networks, x, context)[1](slope)

    @jax.custom_vjp
    def through(layers: Layers, x: Array, context: Array | None) -> Rows:
        return there(layers, x, context)[0]

    def there(layers: Layers, x: Array, context: Array | None) -> tuple[Rows, Any]:
        z, log_det, *kept = lax.platform_dependent(layers, x, context, cpu=kernel, default=elsewhere)
        return (z, log_det), (layers, x, context, kept)

    def back(seen: Any, slope: Rows) -> Any:
        slopes, slope_x, slope_context = lax.platform_dependent(*seen, slope, cpu=back_kernel, default=back_elsewhere)
        return Layers(slopes, None), slope_x, slope_context  # type: ignore[arg-type]  # orders have none

    through.defvjp(there, back)
    return through(layers, x, context)


def _given(context: Array | None, x: Array) -> Array:
    """The contexts (c, n), of no width where there are none."""
    return jnp.zeros((0, x.shape[1]), x.dtype) if context is None else context


def _arrays(networks: MaskedMLP) -> list[Array]:
    """Of each product its weights (depth, out, in), bias (depth, out), context's weights (depth, out, c) and shift.

    The context's are empty where the product reads none, the shift where the context is not bent.
    """
    weights, biases, contexts, shifts = _parts(networks)
    contexts += tuple(jnp.zeros((*bias.shape, 0), jnp.float32) for bias in biases[len(contexts) :])
    shifts += tuple(jnp.zeros((len(bias), 0), jnp.float32) for bias in biases[len(shifts) :])
    return [array for product in zip(weights, biases, contexts, shifts, strict=True) for array in product]


def _with_arrays(networks: MaskedMLP, arrays: list[Array]) -> MaskedMLP:
    """The networks with other arrays, as `_arrays` lists them."""
    there = (tuple(arrays[i::4][: len(part)]) for i, part in enumerate(_parts(networks)))
    return eqx.tree_at(_parts, networks, tuple(there))


def _parts(networks: MaskedMLP) -> tuple[tuple[Array, ...], ...]:
    return networks.weights, networks.biases, networks.context_weights, networks.context_biases


def _call(
    name: str, scalar: Any, network: MaskedMLP, arrays: list[Array], shapes: list[tuple[int, ...]]
) -> tuple[Array, ...]:
    """A kernel. It has the masks as how many units, counted from the first, each unit reads of the layer before."""
    reach = [np.searchsorted(ends.read, ends.reader, side="right") for ends in network.ends()]
    widths = [*(weight.shape[-1] for weight in network.context_weights), *(0 for _ in reach)]
    reach += [np.full(len(units), width) for units, width in zip(reach, widths, strict=False)]  # of the context, all
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
