"""The classes that a model file may name. An import line in a folder's ``__init__`` registers one."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from densiflow.errors import UnregisteredClassError

_for_now: dict[str, type[Any]] = {}


def classes() -> dict[str, type[Any]]:
    """Every registered class by its name: bijections, scalar maps, networks, bases, and what joins them."""
    from densiflow import bases, bijections, networks, scalars
    from densiflow.ensemble import Ensemble
    from densiflow.fixed import Fixed
    from densiflow.flow import Flow

    found: dict[str, type[Any]] = {"Flow": Flow, "Fixed": Fixed, "Ensemble": Ensemble}
    for folder in (bijections, scalars, networks, bases):
        for name in folder.__all__:
            cls = getattr(folder, name)
            if not inspect.isabstract(cls):
                found[name] = cls
    return found | _for_now


def named(name: str) -> type[Any]:
    """The class of that name; `UnregisteredClassError` if there is none."""
    found = classes()
    if name not in found:
        raise UnregisteredClassError(
            f"{name!r} is not a class that model files know; known: {', '.join(sorted(found))}"
        )
    return found[name]


def name_of(cls: type[Any]) -> str:
    """The name a class is saved under; `UnregisteredClassError` if it is not registered."""
    name = cls.__name__
    if classes().get(name) is not cls:
        raise UnregisteredClassError(
            f"{cls.__module__}.{name} is not registered, so a model file can't name it: bijections, scalar maps, "
            f"networks and bases are registered by an import line in their folder"
        )
    return name


@contextmanager
def also(*members: type[Any]) -> Iterator[None]:
    """Register further classes for the time being; the laws try classes from elsewhere in this way."""
    added = {cls.__name__: cls for cls in members if cls.__name__ not in classes()}
    _for_now.update(added)
    try:
        yield
    finally:
        for name in added:
            _for_now.pop(name, None)
