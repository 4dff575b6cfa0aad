"""Rows of which some cells are drawn given others: so many at a time that their draws fit in memory."""

from collections.abc import Iterator
from typing import Any

ROWS = 2048  # each is drawn hundreds of times, to choose among


def random_states(seed: int | None) -> Iterator[Any]:
    """What to draw each batch with: the first as the estimator draws with that seed, then what follows from it."""
    import numpy as np

    yield seed
    rng = np.random.default_rng(seed)
    while True:
        yield rng
