"""How laws are tried: on a thing as given and with its parameters moved, each law saying what it saw if broken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from densiflow.fixed import combine, partition
from densiflow.precision import cast

T = TypeVar("T")
C = TypeVar("C")

Precision = Literal["float64", "float32"]
Numbers = NDArray[np.float64]
Law = Callable[[C], str | None]  # what was seen where the law is broken; None where it holds

ROUNDING = 1000.0  # how many roundings of the size of its inputs a number may have gathered on its way
EXACT = ROUNDING * float(np.finfo(np.float64).eps)  # the same for what is always computed in float64
NOISE = 0.1  # how far parameters are moved
COPIES = 8


class Broken(NamedTuple):
    """A law that does not hold, and what was seen."""

    law: str
    seen: str


@dataclass
class Case(Generic[T]):
    """A thing under trial, in the floating type asked for.

    `exact` has the same numbers in float64: Jacobians, and with them how far rounding may carry, come from there.
    """

    thing: T
    exact: T
    is_moved: bool
    key: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type the thing computes in."""
        floats = [leaf.dtype for leaf in jax.tree.leaves(self.thing) if eqx.is_inexact_array(leaf)]
        return np.dtype(floats[0]) if floats else np.dtype(np.float64)

    @property
    def rounding(self) -> float:
        """The relative error that is put down to rounding."""
        return ROUNDING * float(np.finfo(self.dtype).eps)

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers for the host, the same at every call."""
        return _rng(self.key)


def broken_laws(
    thing: T,
    laws: Sequence[Law[C]],
    case: Callable[[T, T, bool, Array], C],
    key: Array | None,
    dtype: Precision,
) -> list[Broken]:
    """Every law that the thing breaks, in the laws' order; nothing global is changed.

    A broken first law ends the trial: it is about shapes, and arrays of wrong shapes broadcast to huge ones.
    """
    key = jax.random.key(0) if key is None else key
    stray = _stray_field(thing)
    if stray is not None:
        return [Broken("fields_are_arrays_or_static", stray)]
    broken: list[Broken] = []
    with jax.enable_x64(True), np.errstate(all="ignore"):
        given = cast(thing, np.float64)
        for is_moved, variant in ((False, given), (True, moved(given, key))):
            tried = cast(variant, dtype)
            now = case(tried, cast(tried, np.float64), is_moved, key)
            for law in laws:
                seen = seen_by(law, now)
                if seen is not None:
                    broken.append(Broken(law.__name__, f"{seen}, its parameters moved" if is_moved else seen))
                if seen is not None and law is laws[0]:
                    return broken
    return broken


def report(thing: Any, broken: Sequence[Broken]) -> None:
    """Raise `AssertionError` for the first broken law, if there is one."""
    if broken:
        raise AssertionError(f"{type(thing).__name__}: {broken[0].seen} (law: {broken[0].law})")


def seen_by(law: Law[C], case: C) -> str | None:
    """What a law has seen where it is broken, an error included; None where it holds."""
    try:
        return law(case)
    except Exception as error:  # whatever a stranger's class raises is something a law has seen
        first_line = str(error).strip().partition("\n")[0]
        return f"{type(error).__name__}: {first_line}"


def _stray_field(thing: Any) -> str | None:
    """What stands in the way of passing `thing` to any compiled function."""
    for leaf in jax.tree.leaves(thing):
        if not eqx.is_array(leaf):
            return f"holds a {type(leaf).__name__} that is neither a JAX array nor in a static field"
    return None


def _rng(key: Array) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def moved(thing: T, key: Array, size: float = NOISE) -> T:
    """The same thing with noise on every trained number: a start at the identity would hide faults."""
    trained, rest = partition(thing)
    leaves, structure = jax.tree.flatten(trained)
    rng = _rng(key)
    noisy = [jnp.asarray(np.asarray(leaf) + size * rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves]
    return combine(jax.tree.unflatten(structure, noisy), rest)


def anywhere(thing: T, key: Array) -> Iterator[T]:
    """Copies with their trained numbers moved far, for what must show somewhere: a unit may sleep in one of them."""
    for draw in range(COPIES):
        yield moved(thing, jax.random.fold_in(key, draw), size=1.0)


def largest_difference(seen: Any, wanted: Any, tolerance: Any) -> float | None:
    """The largest difference beyond its tolerance, None where there is none; a NaN on one side only is beyond."""
    seen, wanted = np.asarray(seen, np.float64), np.asarray(wanted, np.float64)
    difference = np.where(seen == wanted, 0.0, np.abs(seen - wanted))
    beyond = ~(difference <= tolerance)
    return float(np.max(difference[beyond])) if beyond.any() else None


def not_finite(tree: Any) -> bool:
    """Whether any number of any array is infinite or NaN."""
    return any(not np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(tree))
