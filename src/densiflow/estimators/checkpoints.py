"""What a fit of an estimator is told, so that an interrupted one is gone on with only where it is the same."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from densiflow.estimators.randomness import key_of
from densiflow.flow import Flow
from densiflow.table.schema import Schema
from densiflow.training.checkpoint import Checkpoint
from densiflow.training.fingerprint import digest
from densiflow.training.fit import Checkpointed
from densiflow.training.keeper import FileKeeper, Keeper

MAY_CHANGE = {"max_epochs", "patience", "verbose"}


def begun(estimator: Any, checkpoint: Checkpointed, tables: Mapping[str, tuple[Any, ...]]) -> tuple[Array, Keeper]:
    """The key of a fit to these tables, and what keeps it: that of the interrupted fit where no int seeds this one.

    Raises `CheckpointError` for the checkpoint of another fit.
    """
    key = key_of(estimator.random_state)
    if checkpoint is None:
        return key, Keeper()
    keeper = FileKeeper(Checkpoint.of(checkpoint))
    if not isinstance(estimator.random_state, int | np.integer) and keeper.told_there:
        key = key_of(keeper.told_there.get("random_state"))
    seed = int(np.asarray(jax.random.key_data(key))[-1])
    given = {name: _held(value) for name, value in estimator.get_params(deep=False).items() if name not in MAY_CHANGE}
    digests = {name: digest(*map(_bits, parts)) for name, parts in tables.items()}
    keeper.tell({**given, **digests, "random_state": seed})
    return key, keeper


def _held(value: Any) -> Any:
    """An argument as a checkpoint's file holds it."""
    if isinstance(value, Flow):
        return digest(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _bits(part: Any) -> Any:
    return repr(part.to_state()) if isinstance(part, Schema) else part
