# SPDX-License-Identifier: Apache-2.0
"""How far things are: told to a callback by whoever does them, shown by whoever wants to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is; a stage begins with 0 and ends with all."""


def no_progress(stage: str, count: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def stage(progress: Progress, name: str, total: int = 1) -> Iterator[Callable[[int], None]]:
    """Tell of a stage that begins, and ends however this is left; called in between with how much is done."""
    progress(name, 0, total)
    try:
        yield lambda count: progress(name, min(count, total - 1), total)
    finally:
        progress(name, total, total)
