# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: the first asks to stop after what is in hand, the second ends at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from llava_cli.errors import Terminated

NOTICE = b"llava: stopping after what is in hand; once more ends at once\n"


class Stop:
    """Whether the user wants the run to end."""

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        self._on_first = on_first
        self.signal: int | None = None

    @property
    def wanted(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A signal has arrived."""
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        self._on_first()

    def check(self) -> None:
        """End as the signal would have.

        Raises:
            KeyboardInterrupt, Terminated: there was one.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise Terminated


@contextmanager
def deferred_signals(on_first: Callable[[], None] | None = None) -> Iterator[Stop]:
    """Have Ctrl-C and SIGTERM wait until what is in hand is finished.

    Args:
        on_first: called at the first signal; without it the user is told.
    """
    stderr = os.dup(2)  # the usual one is kept from libraries at times, and a signal may come then

    def say_so() -> None:
        with suppress(OSError):  # not through a buffer: a signal comes in the middle of anything
            os.write(stderr, NOTICE)

    stop = Stop(on_first or say_so)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(stderr)
