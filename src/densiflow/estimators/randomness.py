"""From what scikit-learn calls a random_state to a JAX random key."""

import secrets
from typing import Any

import jax
import numpy as np
from jax import Array

from densiflow.errors import ArgumentError

RandomState = int | np.random.RandomState | np.random.Generator | None


def key_of(random_state: Any) -> Array:
    """A key: the same for the same int; drawn from a RandomState or Generator; fresh for None.

    >>> bool((jax.random.key_data(key_of(3)) == jax.random.key_data(key_of(3))).all())
    True
    """
    if random_state is None:
        seed = secrets.randbits(32)
    elif isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(2**32))
    elif isinstance(random_state, np.random.RandomState):
        seed = int(random_state.randint(2**32, dtype=np.uint64))
    elif _is_seed(random_state):
        seed = int(random_state)
    else:
        raise ArgumentError(
            f"random_state must be an int from 0 to 2**32 - 1, a RandomState, a Generator or None, got {random_state!r}"
        )
    return jax.random.key(np.uint32(seed))


def _is_seed(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= int(value) < 2**32
