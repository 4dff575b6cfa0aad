"""Ctrl-C put off for the moment in which a result is taken over."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C act only after the block.

    A compiled program uses up the state it is given; an interrupt between its call and the assignment of what it
    returns would leave no state at all. Python handles signals in the main thread alone: elsewhere there is nothing
    to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, or not Python's to change
        yield
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
