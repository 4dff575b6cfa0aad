"""The library of compiled kernels: whether it is there, and when programs may use it."""

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import jax

from densiflow.errors import KernelsWarning
from densiflow.native import build

TARGETS = (
    *("made_to_base", "made_to_data", "made_to_base_back"),
    *("made_shift_to_base", "made_shift_to_data", "made_shift_to_base_back"),
    *("made_spline_to_base", "made_spline_to_data", "made_spline_to_base_back"),
    "adam_step",
    "normal",
)

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
    """Load the library and make it known to JAX, once; say so where only one of something else is there."""
    path = build.library()
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        if any(path.parent.glob(build.ANY)):
            warnings.warn(
                f"expected kernels compiled from these sources, for this processor and this jaxlib, and found in "
                f"{path.parent} only others: JAX computes alone; run python -m densiflow.native to compile them",
                KernelsWarning,
                stacklevel=2,
            )
        return False
    for name in TARGETS:
        jax.ffi.register_ffi_target(f"densiflow_{name}", jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    return True
