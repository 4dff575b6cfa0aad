"""Several flows as one distribution: the mixture of their densities, all with one weight."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import logsumexp
from numpy.typing import ArrayLike

from densiflow.errors import ArgumentError
from densiflow.flow import Flow, Places, _draw, _log_prob, _sample, over_rows


@final
class Ensemble(eqx.Module):
    r"""The equal mixture of flows of one structure, such as one recipe's with different keys.

    .. math:: \log p(x \mid c) = \log \frac1M \sum_{m=1}^M p_m(x \mid c)

    Where its members differ the data did not decide; their mixture is, on average over rows, at least as likely as a
    member is. `training.fit_ensemble` trains all of them in one program. A mixture has no single base space, so there
    is no ``to_base`` and no ``to_data``; those of a member, see `unstacked`, are at hand.

    Shapes: ``x`` (..., dim), ``context`` (..., context_dim); leading axes broadcast as in numpy. Densities are in
    nats. Raises `ArgumentError` for flows that differ in structure, and what `Flow` raises for rows that do not fit.

    Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", section 2.4.

    >>> from densiflow import bases, bijections
    >>> narrow, wide = (Flow(bijections.Elementwise([0.0], [s]), bases.Normal(1)) for s in (1.0, 2.0))
    >>> ensemble = Ensemble.of([narrow, wide])
    >>> round(float(jnp.exp(ensemble.log_prob(jnp.zeros(1)))), 4)  # (0.3989 + 0.1995) / 2
    0.2992
    """

    flows: Flow  # one flow whose arrays carry a leading axis (members, ...)
    members: int = eqx.field(static=True)

    # by identity, as flows are
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __check_init__(self) -> None:
        short = [leaf.shape for leaf in jax.tree.leaves(self.flows) if jnp.shape(leaf)[:1] != (self.members,)]
        if short:
            raise ArgumentError(
                f"arrays of an ensemble of {self.members} members must have that many along their first axis, "
                f"got the shape {short[0]}; `Ensemble.of` stacks separate flows"
            )

    @classmethod
    def of(cls, flows: Sequence[Flow]) -> Self:
        """The ensemble of separate flows."""
        check_alike(flows)
        return cls(stacked(list(flows)), len(flows))

    def unstacked(self) -> list[Flow]:
        """The members one by one."""
        return _unstacked(self.flows, self.members)

    @property
    def dim(self) -> int:
        """Columns of a row."""
        return self.flows.dim

    @property
    def context_dim(self) -> int:
        """Width of the context; 0 takes none."""
        return self.flows.context_dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating type the members compute in."""
        return self.flows.dtype

    def log_prob(self, x: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Log density of each row, nats: (..., dim) and (..., c) to (...); -inf outside every member's domain."""
        return over_rows(_mixture_log_prob, self, x, context)

    def sample(self, key: Array, n: int, context: ArrayLike | None = None, *, start: int | Places = 0) -> Array:
        """Draw rows: (n, dim); for a context (c,) also (n, dim), for (m, c) (n, m, dim).

        A row, and the member that draws it, depend on the key, its place and its context alone; `start` is the place
        of the first, or those of all. Raises `KeyTypeError` for an int as key.
        """
        return _draw(_mixture_sample, self, key, n, context, start)

    def sample_and_log_prob(self, key: Array, n: int, context: ArrayLike | None = None) -> tuple[Array, Array]:
        """Draw rows with their log densities in the mixture; gradients pass by the choice of the member."""
        return _draw(_mixture_sample_and_log_prob, self, key, n, context)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ensemble to one safetensors file; `densiflow.load` reads it back."""
        from densiflow import files

        files.save(self, path)


def check_alike(flows: Sequence[Flow]) -> None:
    """Raise `ArgumentError` unless these are flows, at least one, of one structure."""
    if not (isinstance(flows, Sequence) and flows and all(isinstance(flow, Flow) for flow in flows)):
        came = [type(f).__name__ for f in flows] if isinstance(flows, Sequence) else type(flows).__name__
        raise ArgumentError(f"an ensemble needs a list of at least one Flow, got {came}")
    kinds = [_kind(flow) for flow in flows]
    for m, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ArgumentError(
                f"flows of an ensemble must be equal in structure, but flow {m} differs from flow 0: make them by one "
                f"recipe with the same options and different keys"
            )


def _kind(flow: Flow) -> tuple[Any, list[tuple[Any, Any]]]:
    """What must agree between members: their structure, and the shape and type of each array."""
    leaves, structure = jax.tree.flatten(flow)
    return structure, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]


@jax.jit
def stacked(trees: Sequence[Any]) -> Any:
    """Trees of one structure as one whose arrays have a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@partial(jax.jit, static_argnames="count")
def _unstacked(tree: Any, count: int) -> list[Any]:
    """Undo `stacked`."""
    return [jax.tree.map(lambda leaf, m=m: leaf[m], tree) for m in range(count)]


def each(function: Callable[..., Any], *trees: Any) -> Any:
    """A function of every member, given trees whose arrays have a leading axis of members; called inside jit.

    Side by side on an accelerator, which one small flow leaves idle. On a CPU one after the other: that is faster by
    a tenth to a half from the moment that a flow fills the caches, and a function may return early for one of them.
    """
    if one_by_one():
        return lax.map(lambda arguments: function(*arguments), trees)
    return jax.vmap(function)(*trees)


def one_by_one() -> bool:
    """Whether members are taken one after the other here."""
    return jax.default_backend() == "cpu"


# The compiled functions take the ensemble as an argument: two of one structure share a program.


@jax.jit
def _mixture_log_prob(ensemble: Ensemble, x: Array, context: Array | None) -> Array:
    log_p = each(lambda flow: _log_prob(flow, x, context), ensemble.flows)
    outside = jnp.all(jnp.isneginf(log_p), axis=0)
    inside = logsumexp(jnp.where(outside, 0.0, log_p), axis=0) - np.log(ensemble.members)  # finite gradients outside
    return jnp.where(outside, -jnp.inf, inside)


@jax.jit
def _mixture_sample(ensemble: Ensemble, key: Array, index: Array, context: Array | None) -> Array:
    choice_key, key = jax.random.split(key)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(choice_key, index)
    member = jax.vmap(lambda key: jax.random.randint(key, (), 0, ensemble.members))(keys)
    x = each(lambda flow: _sample(flow, key, index, context), ensemble.flows)
    return jnp.take_along_axis(x, member[None, :, None], axis=0)[0]


@jax.jit
def _mixture_sample_and_log_prob(
    ensemble: Ensemble, key: Array, index: Array, context: Array | None
) -> tuple[Array, Array]:
    x = _mixture_sample(ensemble, key, index, context)
    return x, _mixture_log_prob(ensemble, x, context)
