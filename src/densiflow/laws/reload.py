"""The law that what is saved is what is loaded, shared by bijections, bases and flows."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from densiflow import files, registry


def changed_by_saving(thing: Any, outputs: Callable[[Any], Any]) -> str | None:
    """What is different about `thing` once it is written and read again; None where nothing is.

    Classes that are not registered are, for the time being, so that a class from elsewhere can be tried.
    """
    with registry.also(*set(_classes_in(thing))):
        again = files.from_bytes(files.to_bytes(thing))
    before, after = (_structure(tree) for tree in (thing, again))
    if before != after:
        return "comes back from a file with other fields"
    if not _same_bits(again, thing):
        return "comes back from a file with other numbers"
    if not _same_bits(outputs(again), outputs(thing)):
        return "gives other results once it comes back from a file"
    return None


def _classes_in(value: Any) -> Iterator[type[Any]]:
    if isinstance(value, eqx.Module):
        yield type(value)
        for field in dataclasses.fields(value):
            yield from _classes_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from _classes_in(child)
    elif isinstance(value, tuple | list):
        for child in value:
            yield from _classes_in(child)


def _structure(tree: Any) -> Any:
    return jax.tree.structure(tree)


def _same_bits(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(
        x.dtype == y.dtype and x.shape == y.shape and np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in pairs
    )
