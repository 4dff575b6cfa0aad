"""Where a training is kept while it is under way: what a user asks for."""

import os
from dataclasses import dataclass

import numpy as np

from densiflow.arguments import is_real
from densiflow.errors import ArgumentError
from densiflow.table.refusals import shown


@dataclass(frozen=True)
class Checkpoint:
    """A file that a training is kept in while it is under way, so that it can be gone on with after an interruption.

    The file is written whole at the ends of epochs, the first of them and then every so often, and after Ctrl-C. Where
    it exists when training starts, training goes on from it; the result is, to the bit, that of a training which was
    not interrupted. When training ends by itself the file is deleted. A line on stderr says where training starts,
    unless ``verbose`` is False.

    It goes with one fit: the same rows, the same flow, the same key and arguments, of which only ``max_epochs``,
    ``patience`` and ``verbose`` may change (the rate then follows the new ``max_epochs``). It is one safetensors file
    of about five times the flow's size, and holds none of the rows. Bits are the same on the same machine.

    Args:
        path: of the file.
        every: seconds between two writings, at least.
        resume: whether to go on from a file that exists; otherwise it is overwritten.

    Raises `ArgumentError` for options that can't be. Fits with a checkpoint raise `CheckpointError` where the file is
    of another fit or damaged, and `OutputPathError` where it can't be written.

    >>> Checkpoint("run.checkpoint", every=10).every
    10
    """

    path: str | os.PathLike[str]
    every: float = 60.0
    resume: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise ArgumentError(f"a checkpoint's path must be text or a path, got {shown(self.path)}")
        if not (is_real(self.every) and 0 <= self.every < np.inf):
            raise ArgumentError(f"every must be a number of seconds, at least 0, got {shown(self.every)}")

    @classmethod
    def of(cls, given: "str | os.PathLike[str] | Checkpoint") -> "Checkpoint":
        """The checkpoint that is meant by a path alone too."""
        return given if isinstance(given, Checkpoint) else cls(given)
