"""What keeps a training that is under way: nothing, or a file from which it can be gone on with."""

import math
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from densiflow import files
from densiflow.atomic import check_writable, written_whole
from densiflow.errors import CheckpointError, ModelFileError, OutputPathError, TrainingWarning
from densiflow.training import program
from densiflow.training.checkpoint import Checkpoint
from densiflow.training.course import Course
from densiflow.training.fingerprint import Told, differences
from densiflow.training.options import Options
from densiflow.training.progress import Progress

BROKEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
AFRESH = "delete the file to start afresh"


class UnderWay(Protocol):
    """All that a training is between two epochs, beside what it was given."""

    state: Any
    best: Any
    rngs: Sequence[np.random.Generator]

    @property
    def courses(self) -> Sequence[Course]:
        """Of the one flow, or of each member."""


class Keeper:
    """Keeps nothing of a training."""

    def restore(self, run: UnderWay, options: Options, progress: Progress) -> None:
        """Put a training that has not begun where it was when it was kept, if it was."""

    def epoch_ended(self, run: UnderWay) -> None:
        """Keep the training as it is."""

    def interrupted(self) -> None:
        """Ctrl-C: keep what was at the end of the last epoch."""

    def ended(self) -> None:
        """The training has ended by itself: there is nothing to go on with."""


class FileKeeper(Keeper):
    """Keeps a training in the file of a checkpoint; what it finds there is read at once.

    Raises `CheckpointError` for a file that is damaged or something else, `OutputPathError` for a path that can't be
    written.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.path, self.every = checkpoint.path, checkpoint.every
        self.exists, self.resume = check_writable(self.path).exists(), checkpoint.resume
        self.found = _read(self.path) if self.exists and self.resume else None
        self.told: Told = {}
        self.last: dict[str, Any] | None = None  # the training at the end of its last epoch
        self.is_written = False  # whether the file holds that
        self.written_at = -math.inf

    @property
    def told_there(self) -> Told:
        """What the training in the file was told; nothing where there is none to go on from."""
        return {} if self.found is None else self.found["told"]

    def tell(self, told: Told) -> None:
        """What this training is told, which must be what that in the file was: else `CheckpointError`."""
        self.told = told
        if self.found is not None and (differing := differences(self.told_there, told)):
            raise CheckpointError(
                f"{self.path} holds the training of another fit: {', '.join(differing)}; repeat what that fit was "
                f"given, or {AFRESH}"
            )

    def restore(self, run: UnderWay, options: Options, progress: Progress) -> None:
        """Put the training where the file says it was, and say so."""
        found, self.found = self.found, None
        if found is None:
            if self.resume:
                _say(f"there is no {self.path} to go on from: training starts from the beginning", options)
            elif self.exists:
                _say(f"{self.path}, left by a training that was interrupted, is overwritten", options)
            return
        try:
            run.state, run.best = _weights(found["weights"], (run.state, run.best))
            for course, state in zip(run.courses, found["courses"], strict=True):
                course.restore(state)
            for rng, state in zip(run.rngs, found["rngs"], strict=True):
                rng.bit_generator.state = state
        except BROKEN as error:
            raise CheckpointError(
                f"{self.path} does not describe a training that this densiflow can go on with ({error!r}); {AFRESH}"
            ) from None
        epochs = max(len(course.history.train) for course in run.courses)
        if options.max_epochs is not None and options.max_epochs <= epochs:
            raise CheckpointError(
                f"{self.path} holds a training of {epochs} epochs already, but max_epochs is {options.max_epochs}: "
                f"give more, or {AFRESH}"
            )
        progress.start_from(epochs)
        _say(f"going on from {self.path}, after epoch {epochs}", options)

    def epoch_ended(self, run: UnderWay) -> None:
        """Remember the training as it is, and write it if the last writing is long ago."""
        if all(course.history.stopped for course in run.courses):
            return
        self.last = {
            "weights": program.copied((run.state, run.best)),  # the next steps use them up
            "courses": [course.to_state() for course in run.courses],
            "rngs": [rng.bit_generator.state for rng in run.rngs],
        }
        self.is_written = False
        if time.monotonic() - self.written_at >= self.every:
            self._write()

    def interrupted(self) -> None:
        """Write the training as it was at the end of the last epoch."""
        if self.last is not None and not self.is_written:
            self._write()

    def ended(self) -> None:
        """Delete the file, where that can be done."""
        with suppress(OSError):
            Path(self.path).unlink()

    def _write(self) -> None:
        """Write the last epoch's end; a disk that is full must not end a training."""
        assert self.last is not None
        held = {**self.last, "told": self.told, "weights": jax.tree.leaves(self.last["weights"])}
        try:
            with written_whole(self.path) as part:
                part.write_bytes(files.packed({"checkpoint": held}))
            self.is_written = True
        except OutputPathError as error:
            warnings.warn(f"the training is not kept, but goes on: {error}", TrainingWarning, stacklevel=2)
        self.written_at = time.monotonic()


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint's file holds; `CheckpointError` where it holds no training."""
    try:
        found: dict[str, Any] = files.unpacked(Path(path).read_bytes(), str(path))["checkpoint"]
        found["told"].items()
    except ModelFileError as error:
        raise CheckpointError(f"can't go on from a checkpoint: {error}; {AFRESH}") from None
    except OSError as error:
        raise CheckpointError(f"can't read {path}: {error.strerror}") from None
    except BROKEN:
        raise CheckpointError(f"{path} holds no training that was interrupted; name another file") from None
    return found


def _weights(leaves: Sequence[Any], like: Any) -> Any:
    """The arrays in the structure of others, in new memory; `ValueError` where their shapes or types differ."""
    expected, structure = jax.tree.flatten(like)
    described = [[(array.shape, array.dtype) for array in arrays] for arrays in (leaves, expected)]
    if described[0] != described[1]:
        raise ValueError("its weights have other shapes")
    return program.copied(jax.tree.unflatten(structure, leaves))


def _say(text: str, options: Options) -> None:
    """A line on stderr, also where that is no terminal: training may start elsewhere than one thinks."""
    if options.verbose is not False:
        print(f"densiflow: {text}", file=sys.stderr, flush=True)
