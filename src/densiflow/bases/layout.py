"""Where the variables of a mixed row stand in what a network reads and what it gives."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from densiflow.errors import ArgumentError

Indices = NDArray[np.int32]


@dataclass(frozen=True)
class Layout:
    """The variables of a row, in order: those with `sizes` above 0 are states, the others are values.

    ``presence`` gives for a value the state variable before it whose state 0 says that it is there, -1 for one that
    always is. ``cells`` gives for a value how many cells its samples fall into, 0 for one with a density. A row holds
    one number for each variable, and three (the middle and the edges of the cell) for a value in cells.

    >>> layout = Layout(sizes=(3, 2, 0, 0), presence=(-1, -1, 1, -1), cells=(0, 0, 7, 0))
    >>> layout.states.tolist(), layout.values.tolist(), layout.level_of.tolist()
    ([0, 1], [2, 3], [0, 1, 2, 0, 1])
    >>> layout.place.tolist(), layout.width
    ([0, 1, 2, 5], 6)
    """

    sizes: tuple[int, ...]
    presence: tuple[int, ...]
    cells: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.presence) == len(self.cells) > 0:
            raise ArgumentError("a layout needs a size, a presence and a number of cells for each variable")
        for v, (size, presence, cells) in enumerate(zip(self.sizes, self.presence, self.cells, strict=True)):
            if size < 0 or size == 1 or cells < 0 or (size and (cells or presence >= 0)):
                raise ArgumentError(f"variable {v} must be a state of at least 2 or a value, got {size}, {cells}")
            if presence >= 0 and not (presence < v and self.sizes[presence]):
                raise ArgumentError(f"variable {v}: the state that says it is there must come before it")

    @property
    def count(self) -> int:
        """How many variables there are."""
        return len(self.sizes)

    @property
    def widths(self) -> NDArray[np.int32]:
        """How many numbers of a row each variable takes."""
        return np.where(np.asarray(self.cells) > 0, 3, 1).astype(np.int32)

    @property
    def width(self) -> int:
        """How many numbers a row holds."""
        return int(self.widths.sum())

    @cached_property
    def place(self) -> Indices:
        """Where in a row each variable begins."""
        return (np.cumsum(self.widths) - self.widths).astype(np.int32)

    @cached_property
    def edges(self) -> Indices:
        """(2, values): where in a row the edges of each value's cell stand; the number itself for a density."""
        place, in_cells = self.place[self.values], self.grid >= 0
        return np.stack([place + in_cells, place + 2 * in_cells]).astype(np.int32)

    @cached_property
    def states(self) -> Indices:
        """Which variables are states."""
        return np.flatnonzero(self.sizes).astype(np.int32)

    @cached_property
    def values(self) -> Indices:
        """Which variables are values."""
        return np.flatnonzero(np.asarray(self.sizes) == 0).astype(np.int32)

    @cached_property
    def slot(self) -> Indices:
        """The place of each variable among the states, or among the values."""
        is_state = np.asarray(self.sizes) > 0
        return np.where(is_state, np.cumsum(is_state), np.cumsum(~is_state)).astype(np.int32) - 1

    @cached_property
    def variable_of(self) -> Indices:
        """The variable of every level of every state."""
        return np.repeat(np.arange(self.count, dtype=np.int32), self.sizes)

    @cached_property
    def level_of(self) -> Indices:
        """The number of every level within its state."""
        return np.concatenate([np.arange(size, dtype=np.int32) for size in (*self.sizes, 0)])

    @cached_property
    def table(self) -> Indices:
        """(states, most levels): the place of each level among all, -1 where a state has fewer."""
        sizes = np.asarray(self.sizes)[self.states]
        starts = np.cumsum(sizes) - sizes
        level = np.arange(sizes.max(initial=1))
        return np.where(level < sizes[:, None], starts[:, None] + level, -1).astype(np.int32)

    @cached_property
    def stated(self) -> Indices:
        """For each value the place among the states of what says that it is there, -1 where it always is."""
        presence = np.asarray(self.presence, np.int32)[self.values]
        return np.where(presence < 0, -1, self.slot[presence]).astype(np.int32)

    @cached_property
    def grid(self) -> Indices:
        """For each value its place among those that fall in cells, -1 for one with a density."""
        in_cells = np.asarray(self.cells)[self.values] > 0
        return np.where(in_cells, np.cumsum(in_cells) - 1, -1).astype(np.int32)
