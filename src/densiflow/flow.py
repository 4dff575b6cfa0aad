"""The path both ways: a row of data to base space and its log density, random numbers to a row of data.

log p(x) = base.log_prob(z) + sum of log_dets, with z and the log_dets from ``to_base``. That sum is written once,
in `_log_prob`. Read right to left, the same file samples.
"""

import math
import os
from functools import partial
from typing import Any, NamedTuple, Self, final
from weakref import WeakKeyDictionary

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from densiflow import precision, rows
from densiflow.arguments import check_count
from densiflow.bases.base import Base
from densiflow.bijections.base import Bijection, context_for
from densiflow.bijections.elementwise import Elementwise
from densiflow.errors import ArgumentError, ContextError, ShapeError
from densiflow.fixed import Fixed
from densiflow.networks.mlp import MLP
from densiflow.spaces import REAL

Places = NDArray[np.integer[Any]]


@final
class Flow(eqx.Module):
    r"""A distribution: bijections and a base, perhaps given a context.

    .. math:: \log p(x \mid c) = \log p_Z(z \mid c) + \log\left|\det \frac{\partial z}{\partial x}\right|,
              \qquad z = f(x; c)

    ``scaling`` and ``context_scaling`` standardise data and context inside the model. They are fixed, the
    identity until `training.fit` sets them from its training rows; a flow on a bounded space has no data scaling.
    ``embedding`` is a network that makes of the (scaled) context what bijection and base see in its place; it is
    trained with them.

    Shapes: ``x`` (..., dim), ``context`` (..., context_dim); leading axes broadcast as in numpy. Densities are in
    nats. Raises `ShapeError` where widths of bijection and base differ or `x` does not fit, `ContextError` for a
    context missing, superfluous or of the wrong width, `ArgumentError` for a base that the bijection can't reach,
    `PrecisionError` for a float64 flow while JAX has float64 switched off.

    Source: Papamakarios et al. 2021, "Normalizing flows for probabilistic modeling and inference", eq. 5.

    >>> from densiflow import bases, bijections
    >>> flow = Flow(bijections.Elementwise([1.0], [2.0]), bases.Normal(1))
    >>> round(float(flow.log_prob(jnp.array([1.0]))), 4)
    -1.6121
    """

    bijection: Bijection
    base: Base
    scaling: Fixed
    context_scaling: Fixed | None
    embedding: MLP | None = None

    # by identity, so that ``jax.jit(flow.log_prob)`` can take the method as what it compiles
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __init__(self, bijection: Bijection, base: Base, embedding: MLP | None = None) -> None:
        self.bijection, self.base, self.embedding = bijection, base, embedding
        self.scaling = Fixed(self._identity(bijection.dim))
        self.context_scaling = Fixed(self._identity(self.context_dim)) if self.context_dim else None

    def __check_init__(self) -> None:
        bijection, base = self.bijection, self.base
        if bijection.dim != base.dim:
            raise ShapeError(f"bijection and base must have the same dim, got {bijection.dim} and {base.dim}")
        widths = {bijection.context_dim, base.context_dim} - {0}
        if len(widths) > 1:
            raise ContextError(f"bijection and base must take the same context, got widths {sorted(widths)}")
        if self.embedding is not None and self.embedding.outputs not in widths:
            raise ContextError(
                f"the embedding gives {self.embedding.outputs} numbers, but bijection and base take a context of width "
                f"{max(widths, default=0)}"
            )
        if not bijection.codomain.reaches(base.support):
            raise ArgumentError(
                f"the base lives on {base.support.name}, but the bijection only reaches {bijection.codomain.name}"
            )

    def _identity(self, width: int) -> Elementwise:
        dtype = precision.dtype_of((self.bijection, self.base))
        return Elementwise(np.zeros(width, dtype), np.ones(width, dtype))

    @property
    def dim(self) -> int:
        """Columns of a row."""
        return self.bijection.dim

    @property
    def context_dim(self) -> int:
        """Width of the context; 0 takes none."""
        if self.embedding is not None:
            return self.embedding.inputs
        return max(self.bijection.context_dim, self.base.context_dim)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating type the flow computes in: its parameters'."""
        return precision.dtype_of(self)

    @property
    def is_scalable(self) -> bool:
        """Whether data and base fill the whole real space, so that standardising leaves the flow's support alone."""
        return self.bijection.domain == REAL and self.base.is_movable

    def log_prob(self, x: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Log density of each row, nats: (..., dim) and (..., c) to (...); -inf outside the domain."""
        return over_rows(_log_prob, self, x, context)

    def to_base(self, x: ArrayLike, context: ArrayLike | None = None) -> tuple[Array, Array]:
        """Rows of data to base space: ``(z (..., dim), log_det (...))``."""
        return over_rows(_to_base, self, x, context)

    def to_data(self, z: ArrayLike, context: ArrayLike | None = None) -> tuple[Array, Array]:
        """Rows in base space to data: ``(x (..., dim), log_det (...))``."""
        return over_rows(_to_data, self, z, context)

    def sample(self, key: Array, n: int, context: ArrayLike | None = None, *, start: int | Places = 0) -> Array:
        """Draw rows: (n, dim); for a context (c,) also (n, dim), for (m, c) (n, m, dim).

        A row depends on the key, its place and its context alone; `start` is the place of the first, or those of all.
        Raises `KeyTypeError` for an int as key.
        """
        return _draw(_sample, self, key, n, context, start)

    def sample_and_log_prob(self, key: Array, n: int, context: ArrayLike | None = None) -> tuple[Array, Array]:
        """Draw rows with their log densities, differentiable in the parameters and the context."""
        return _draw(_sample_and_log_prob, self, key, n, context)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the flow to one safetensors file; `densiflow.load` reads it back."""
        from densiflow import files

        files.save(self, path)

    def standardised(self, x: ArrayLike, context: ArrayLike | None = None, weight: ArrayLike | None = None) -> Self:
        """The same flow with its scalings set from (weighted) rows: x (n, dim), context (n, c), weight (n,)."""
        scaling, context_scaling = self.scaling, self.context_scaling
        if self.is_scalable:
            scaling = Fixed(_standardising(x, weight, self.dtype))
        if context is not None:
            context_scaling = Fixed(_standardising(context, weight, self.dtype))
        return eqx.tree_at(
            lambda flow: (flow.scaling, flow.context_scaling),
            self,
            (scaling, context_scaling),
            is_leaf=lambda node: node is None,
        )

    def context_as_seen(self, context: Array | None) -> Array | None:
        """Contexts (n, c) as bijection and base see them: scaled, then embedded where there is an embedding."""
        if context is None or self.context_scaling is None:
            return None
        scaled: Array = self.context_scaling.value.to_base_rows(context)[0]
        return scaled if self.embedding is None else jax.vmap(self.embedding)(scaled)

    def _outside(self, x: Array) -> Array:
        """(n,) booleans: rows outside the domain, or so far out that their squares are infinite: density zero."""
        scaled: Array = self.scaling.value.to_base_rows(x)[0]
        far = jnp.any(jnp.abs(scaled) > float(np.sqrt(np.finfo(x.dtype).max)), axis=-1)
        return self.bijection.domain.outside(x) | far

    def _to_base_rows(self, x: Array, context: Array | None) -> tuple[Array, Array]:
        """`context` as it is seen."""
        x, scaling_log_det = self.scaling.value.to_base_rows(x)
        z, log_det = self.bijection.to_base_rows(x, context_for(self.bijection, context))
        return z, log_det + scaling_log_det

    def _to_data_rows(self, z: Array, context: Array | None) -> tuple[Array, Array]:
        """`context` as it is seen."""
        x, log_det = self.bijection.to_data_rows(z, context_for(self.bijection, context))
        x, scaling_log_det = self.scaling.value.to_data_rows(x)
        return x, log_det + scaling_log_det

    def _base_log_prob(self, z: Array, context: Array | None) -> Array:
        return jax.vmap(self.base.log_prob)(z, context_for(self.base, context))


# Functions, since looking up a module's own method copies the module.


def over_rows(compiled: Any, flow: Any, x: ArrayLike, context: ArrayLike | None) -> Any:
    """A compiled function of a flow, rows (n, dim) and contexts (n, c), of a batch of any shape."""
    facts = _facts_of(flow)
    rows.check_x(x, facts.dim)
    rows.check_context(context, facts.context_dim)
    precision.require(facts.dtype)
    if facts.traced or rows.is_traced(x, context):
        batch, flat_x, flat_context = rows.flatten(x, context, facts.dtype, jnp)
        out = compiled(flow, flat_x, flat_context)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), out)
    batch, flat_x, flat_context = rows.flatten(x, context, facts.dtype, np)
    return rows.in_pieces(partial(compiled, flow), [flat_x, flat_context], batch, facts.sizes)


def _draw(compiled: Any, flow: Any, key: Array, n: int, context: ArrayLike | None, start: int | Places = 0) -> Any:
    facts = _facts_of(flow)
    rows.check_key(key)
    rows.check_context(context, facts.context_dim)
    precision.require(facts.dtype)
    check_count("the number of samples", n, 0)
    batch: tuple[int, ...] = (n, *(() if context is None else np.shape(context)[:-1]))
    traced = facts.traced or rows.is_traced(key, context)
    xp: Any = jnp if traced else np
    if isinstance(start, np.ndarray):
        if start.shape != (math.prod(batch),):
            raise ShapeError(f"expected the places of {math.prod(batch)} samples, got an array {start.shape}")
        index = xp.asarray(start, xp.uint32)
    else:
        check_count("the place of the first sample", start, 0)
        index = xp.arange(start, start + math.prod(batch), dtype=xp.uint32)
    if context is not None:
        width = facts.context_dim
        context = xp.broadcast_to(xp.asarray(context, facts.dtype), (*batch, width)).reshape(-1, width)
    if traced:
        out = compiled(flow, key, index, context)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), out)
    return rows.in_pieces(partial(compiled, flow, key), [index, context], batch, facts.sizes)


class _Facts(NamedTuple):
    """What a call asks of a flow before it computes; asked once, since modules answer slowly."""

    dim: int
    context_dim: int
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    traced: bool


_known: WeakKeyDictionary[Any, _Facts] = WeakKeyDictionary()


def _facts_of(flow: Any) -> _Facts:
    facts = _known.get(flow)
    if facts is None:
        leaves = jax.tree.leaves(flow)
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        sizes = () if traced else rows.sizes_for(leaves)
        facts = _Facts(flow.dim, flow.context_dim, precision.dtype_of(leaves), sizes, traced)
        if not traced:
            _known[flow] = facts
    return facts


def _standardising(x: ArrayLike, weight: Any, dtype: Any) -> Elementwise:
    """The affine map that takes (weighted) rows to mean 0 and standard deviation 1, computed in float64."""
    x = np.asarray(x, np.float64)
    mean = np.average(x, axis=0, weights=weight)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
    fallback = np.where(mean == 0, 1.0, np.abs(mean))  # a column of one value: its size, so that units still cancel
    return Elementwise(mean.astype(dtype), np.where(deviation > 0, deviation, fallback).astype(dtype))


# The compiled functions take the flow as an argument: two flows of one structure share a program.


@jax.jit
def _log_prob(flow: Flow, x: Array, context: Array | None) -> Array:
    outside = flow._outside(x)
    interior = jnp.asarray(flow.bijection.domain.interior, x.dtype)
    x = jnp.where(outside[:, None], interior, x)  # keeps gradients of the other rows finite
    context = flow.context_as_seen(context)
    z, log_det = flow._to_base_rows(x, context)
    base = flow._base_log_prob(z, context)
    return jnp.where(outside | jnp.isneginf(base), -jnp.inf, base + log_det)  # outside the support, whatever log_det


@jax.jit
def _to_base(flow: Flow, x: Array, context: Array | None) -> tuple[Array, Array]:
    return flow._to_base_rows(x, flow.context_as_seen(context))


@jax.jit
def _to_data(flow: Flow, z: Array, context: Array | None) -> tuple[Array, Array]:
    return flow._to_data_rows(z, flow.context_as_seen(context))


def _base_rows(flow: Flow, key: Array, index: Array, context: Array | None) -> Array:
    """Row i of base space from the key and i alone; `context` as it is seen."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    return jax.vmap(flow.base.sample)(keys, context_for(flow.base, context))


@jax.jit
def _sample(flow: Flow, key: Array, index: Array, context: Array | None) -> Array:
    context = flow.context_as_seen(context)
    return flow._to_data_rows(_base_rows(flow, key, index, context), context)[0]


@jax.jit
def _sample_and_log_prob(flow: Flow, key: Array, index: Array, context: Array | None) -> tuple[Array, Array]:
    context = flow.context_as_seen(context)
    z = _base_rows(flow, key, index, context)
    x, log_det = flow._to_data_rows(z, context)
    return x, flow._base_log_prob(z, context) - log_det
