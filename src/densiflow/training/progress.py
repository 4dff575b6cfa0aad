"""What a person sees while a flow is trained: where it is, what it reached, time left."""

import math
import sys
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from densiflow.training.history import History

SECONDS_BETWEEN_LINES = 10.0  # where stderr is not a terminal


class Words(NamedTuple):
    """What training counts, to how many decimals, and the names of its two scores."""

    unit: str = "epoch"
    decimals: int = 1
    train: str = "train"
    validation: str = "held-out"


def is_shown(verbose: bool | None) -> bool:
    """Whether progress is shown: None shows it on a terminal."""
    return sys.stderr.isatty() if verbose is None else verbose


class Progress:
    """A line on stderr that follows training, on a terminal one that renews itself, elsewhere one now and then.

    Shown if `verbose`; None shows it on a terminal only. `end` and `patience` count what the words' unit names.
    """

    def __init__(
        self, verbose: bool | None, end: int | None, patience: int | None = None, words: Words | None = None
    ) -> None:
        self.shown = is_shown(verbose)
        self.end, self.patience = end, patience
        self.words = Words() if words is None else words
        self.started, self.first = time.monotonic(), 0.0
        self.printed = -math.inf
        self.status: Any = None

    def __enter__(self) -> Self:
        if self.shown and sys.stderr.isatty():
            from rich.console import Console

            self.status = Console(stderr=True, highlight=False).status("training: compiling")
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is not None:
            self.status.stop()

    def start_from(self, done: float) -> None:
        """So many units were done before this training."""
        self.first = done

    def update(self, history: History, done: float) -> None:
        """Show where training is; `done` counts units and parts of one."""
        if self.status is not None:
            self.status.update(self.line(history, done))
        elif self.shown and time.monotonic() - self.printed > SECONDS_BETWEEN_LINES:
            print(self.line(history, done), file=sys.stderr, flush=True)
            self.printed = time.monotonic()

    def line(self, history: History, done: float) -> str:
        """One line: how far, the scores, time left."""
        words = self.words
        parts = [f"{words.unit} {done:.{words.decimals}f}" + (f" of {self.end}" if self.end else "")]
        if history.train:
            parts.append(f"{words.train} {history.train[-1]:.3f}")
        if history.validation:
            parts.append(f"{words.validation} {history.validation[-1]:.3f}")
            best = max(history.validation)
            parts.append(f"best {best:.3f}")
        parts.append(self._time_left(history, done))
        return "training: " + ", ".join(parts) + " (Ctrl-C keeps the best so far)"

    def _time_left(self, history: History, done: float) -> str:
        per_unit = (time.monotonic() - self.started) / max(done - self.first, 1e-9)
        bounds = []
        if self.end is not None:
            bounds.append(self.end - done)
        if self.patience is not None and history.best_epoch is not None:
            bounds.append(history.best_epoch + 1 + self.patience - done)
        if not bounds or done == self.first:
            return "time left unknown"
        word = "left" if self.patience is None else "left unless it improves"
        if self.end is not None and min(bounds) == bounds[0]:
            word = "left"
        return f"{_clock(max(0.0, min(bounds)) * per_unit)} {word}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
