"""What tells one fit from another: digests of arrays and flows, and plain arguments as they are."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from densiflow.table.refusals import shown

DIGEST = "sha256:"
Told = dict[str, Any]  # plain values and digests, by what they are of


def digest(*values: Any) -> str:
    """Of every bit of some arrays, flows or plain values.

    >>> digest(np.zeros(2)) == digest(np.zeros(2)), digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    (True, False)
    """
    leaves, structure = jax.tree.flatten(values)
    found = hashlib.sha256(str(structure).encode())
    for leaf in leaves:
        array = np.ascontiguousarray(leaf)
        found.update(f"{array.dtype.str} {np.shape(leaf)} ".encode())
        found.update(array.tobytes())
    return DIGEST + found.hexdigest()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs between two fits, in words.

    >>> differences({"rate": 0.1, "x": "sha256:ab"}, {"rate": 0.2, "x": "sha256:cd"})
    ['rate is 0.1 there and 0.2 here', 'x differs']
    """
    names = [name for name in here if there.get(name) != here[name]]
    return [_difference(name, there.get(name), here[name]) for name in names]


def _difference(name: str, there: Any, here: Any) -> str:
    if any(isinstance(value, str) and value.startswith(DIGEST) for value in (there, here)):
        return f"{name} differs"
    return f"{name} is {shown(there)} there and {shown(here)} here"
