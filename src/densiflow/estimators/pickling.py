"""Fitted estimators in files and in copies: flows go as numpy arrays, which no setting of JAX narrows."""

import os
from contextlib import nullcontext
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from densiflow.ensemble import Ensemble
from densiflow.estimators.fitted import check_fitted
from densiflow.flow import Flow


def packed(state: dict[str, Any]) -> dict[str, Any]:
    """An estimator's attributes with every flow's arrays as numpy's."""
    return {name: _on_host(value) if isinstance(value, Flow | Ensemble) else value for name, value in state.items()}


def unpacked(state: dict[str, Any]) -> dict[str, Any]:
    """Undo `packed`: a float64 flow stays one, also while JAX has float64 switched off."""
    return {name: _on_device(value) if isinstance(value, Flow | Ensemble) else value for name, value in state.items()}


class Kept:
    """An estimator that goes to a file, and whose copies, pickled or not, keep every bit of its flows."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything fitted to one file; `densiflow.load` reads it back."""
        from densiflow import files

        check_fitted(self)
        files.save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        return packed(super().__getstate__())  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unpacked(state))  # type: ignore[misc]


def _on_host(flow: Flow | Ensemble) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf) if eqx.is_array(leaf) else leaf, flow)


def _on_device(flow: Flow | Ensemble) -> Any:
    wide = flow.dtype == np.float64
    with jax.enable_x64(True) if wide else nullcontext():
        return jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, flow)
