"""Layers of flows through the compiled kernels, under JAX's transformations."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from densiflow.native import networks
from densiflow.native.library import available, derivatives
from densiflow.native.networks import ACTIVATIONS, Network
from densiflow.native.scalars import Kernels, kernels_of

Rows = tuple[Array, Array]  # (dim, n) and (n,)
Pure = Callable[[Any, Array, Array | None], Rows]  # of a network, the rows and their contexts

TILE = 64  # rows of data that the kernels take together


class Layers(NamedTuple):
    """Autoregressive and coupling layers in turn, from data to base, whose columns come in orders of their own.

    With P networks, layer t has network t mod P at place t // P of its arrays' leading axis.
    """

    networks: tuple[Any, ...]  # every array with a leading axis (depth / P, ...)
    orders: Array  # (depth + 1, dim): which of the columns before it each layer reads as its own; last, which are z


def to_base(network: Any, scalar: Any, x: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, x, context)``, through the kernels where they are and know the layer.

    .. math:: z_i = \tau^{-1}(x_i;\, \theta_i(x, c)), \qquad \log|\det| = \sum_i \log \frac{dz_i}{dx_i}

    The parameters of column i are read from the columns before it, by a masked network, or from those that pass, by
    a plain one: these come first. `pure` must depend on nothing but its arguments. Derivatives are those of `pure`,
    unless `derivatives` says otherwise.

    Shapes: x (dim, n), context (c, n) to z (dim, n), log_det (n,).
    """
    if not _know((network,), scalar, x, context):
        return pure(network, x, context)
    return _to_base(_alone(network, x), scalar, x, context, partial(_of_one, pure))


def to_data(network: Any, scalar: Any, z: Array, context: Array | None, pure: Pure) -> Rows:
    r"""``pure(network, z, context)``, through the kernels where they are and know the layer: one pass.

    .. math:: x_i = \tau(z_i;\, \theta_i(x, c)), \qquad \log|\det| = \sum_i \log \frac{dx_i}{dz_i}

    Shapes and the rest as in `to_base`.
    """
    if not _know((network,), scalar, z, context):
        return pure(network, z, context)
    return _scored("to_data", _alone(network, z), scalar, z, context, partial(_of_one, pure))


def all_to_base(layers: Layers, scalar: Any, x: Array, context: Array | None, pures: tuple[Pure, ...]) -> Rows | None:
    """As `to_base` through layer after layer; None where the kernels don't know them. `pures` are those of networks."""
    if not _know(layers.networks, scalar, x, context):
        return None
    return _to_base(layers, scalar, x, context, partial(_one_by_one_to_base, pures))


def all_to_data(layers: Layers, scalar: Any, z: Array, context: Array | None, pures: tuple[Pure, ...]) -> Rows | None:
    """As `to_data` through layer after layer, from the last to the first, and the rest as in `all_to_base`."""
    if not _know(layers.networks, scalar, z, context):
        return None
    return _scored("to_data", layers, scalar, z, context, partial(_one_by_one_to_data, pures))


def _know(of: tuple[Any, ...], scalar: Any, x: Array, context: Array | None) -> bool:
    """Whether there are kernels for these networks, which must be alike but for widths, and for what they read."""
    return (
        all(networks.is_known(network) for network in of)
        and len({(network.activation, len(network.weights)) for network in of}) == 1
        and kernels_of(scalar) is not None
        and all(array.dtype == jnp.float32 for array in (x, *([] if context is None else [context])))
        and derivatives.value != "none"
        and available()
    )


def _alone(network: Network, x: Array) -> Layers:
    """One layer, whose columns stay in place."""
    as_they_are = np.tile(np.arange(len(x), dtype=np.int32), (2, 1))
    return Layers((jax.tree.map(lambda leaf: leaf[None], network),), jnp.asarray(as_they_are))


def _of_one(pure: Pure, layers: Layers, x: Array, context: Array | None) -> Rows:
    return pure(jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[1:]), layers.networks[0]), x, context)


def _one_by_one_to_base(pures: tuple[Pure, ...], layers: Layers, x: Array, context: Array | None) -> Rows:
    def turn(carry: Rows, turn: tuple[tuple[Network, ...], Array]) -> tuple[Rows, None]:
        z, total = carry
        for pure, network, order in zip(pures, *turn, strict=True):
            z, log_det = pure(network, z[order], context)
            total += log_det
        return (z, total), None

    orders = layers.orders[:-1].reshape(-1, len(pures), len(x))
    (z, log_det), _ = lax.scan(turn, (x, jnp.zeros_like(x[0])), (layers.networks, orders))
    return z[layers.orders[-1]], log_det


def _one_by_one_to_data(pures: tuple[Pure, ...], layers: Layers, z: Array, context: Array | None) -> Rows:
    places = jnp.argsort(layers.orders)

    def turn(carry: Rows, turn: tuple[tuple[Network, ...], Array]) -> tuple[Rows, None]:
        x, total = carry
        for pure, network, place in reversed(list(zip(pures, *turn, strict=True))):
            x, log_det = pure(network, x[place], context)
            total += log_det
        return (x, total), None

    after = places[1:].reshape(-1, len(pures), len(z))
    (x, log_det), _ = lax.scan(turn, (z, jnp.zeros_like(z[0])), (layers.networks, after), reverse=True)
    return x[places[0]], log_det


def _to_base(layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Callable[..., Rows]) -> Rows:
    if derivatives.value == "reverse":
        return _trained(layers, scalar, x, context, pure)
    return _scored("to_base", layers, scalar, x, context, pure)


def _scored(name: str, layers: Layers, scalar: Any, x: Array, context: Array | None, pure: Callable[..., Rows]) -> Rows:
    """The kernel's values with the derivatives of `pure`."""

    def kernel(layers: Layers, x: Array, context: Array | None) -> Rows:
        given = _given(context, x)
        z, log_det = _call(name, scalar, layers, given, [x, given, layers.orders], [x.shape, x.shape[1:]])
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
    tiles = -(-x.shape[1] // TILE)
    kept = [  # what each network reads and what each of its products says, tile after tile
        (len(network.weights[0]), tiles, units, TILE)
        for network in layers.networks
        for units in (len(x), *(weight.shape[1] for weight in network.weights))
    ]

    def kernel(layers: Layers, x: Array, context: Array | None) -> tuple[Array, ...]:
        given = _given(context, x)
        return _call("to_base", scalar, layers, given, [x, given, layers.orders], [x.shape, x.shape[1:], *kept])

    def elsewhere(layers: Layers, x: Array, context: Array | None) -> tuple[Array, ...]:
        return (*pure(layers, x, context), *(jnp.zeros(shape, x.dtype) for shape in kept))

    def back_kernel(layers: Layers, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        given = _given(context, x)
        of_each = [networks.arrays(network, len(given)) for network in layers.networks]
        shapes = [array.shape for array in (x, given, *(array for listed in of_each for array in listed))]
        first = [*slope, given, layers.orders]
        slope_x, slope_given, *slopes = _call("to_base_back", scalar, layers, given, first, shapes, kept)
        made = []
        for network, listed in zip(layers.networks, of_each, strict=True):
            made.append(networks.with_arrays(network, slopes[: len(listed)]))
            slopes = slopes[len(listed) :]
        return tuple(made), slope_x, None if context is None else slope_given

    def back_elsewhere(layers: Layers, x: Array, context: Array | None, kept: Any, slope: Rows) -> Any:
        def of(its: tuple[Network, ...], x: Array, context: Array | None) -> Rows:
            return pure(Layers(its, layers.orders), x, context)

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


def _call(
    name: str,
    scalar: Any,
    layers: Layers,
    given: Array,
    first: list[Array],
    shapes: list[tuple[int, ...]],
    last: tuple[Array, ...] = (),
) -> tuple[Array, ...]:
    """A kernel, of the first arrays, those of all networks and the last ones."""
    width, (family, told) = len(given), cast(Kernels, kernels_of(scalar))
    arrays = [array for network in layers.networks for array in networks.arrays(network, width)]
    reach = [rows for network in layers.networks for rows in networks.reaches(network, width)]
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return tuple(
        jax.ffi.ffi_call(f"densiflow_{family}_{name}", results, vmap_method="sequential")(
            *first,
            *arrays,
            *last,
            passing=np.array([networks.passing(network, width) for network in layers.networks], np.int64),
            reach=np.concatenate(reach).astype(np.int32),
            activation=ACTIVATIONS.index(layers.networks[0].activation),
            scalar=told,
        )
    )
