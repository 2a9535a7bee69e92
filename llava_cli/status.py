# SPDX-License-Identifier: Apache-2.0
"""The last line of a terminal: the stage that goes on, or a list's bar with the stage beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llava_cli.words import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PATIENCE_S = 3
"""After which a stage that counts nothing says how long it has gone on."""


@dataclass
class _Stage:
    name: str
    started: float
    count: int = 0
    total: int = 1

    def __str__(self) -> str:
        passed = time.monotonic() - self.started
        if self.count:
            left = passed / self.count * (self.total - self.count)
            return f"{self.name}: {self.count / self.total:.0%}, {duration(left)} left"
        return f"{self.name}, {duration(passed)}" if passed > _PATIENCE_S else self.name


class Status:
    """The last line of the terminal that reads stderr; nothing where it is none."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stages: dict[str, _Stage] = {}
        self._live: Any = None
        """What redraws the line, from a thread of its own."""
        self._hidden = 0
        self._bar = False
        self._remark = ""

    def progress(self, stage: str, count: int, total: int) -> None:
        """Tell how far a stage is; it ends when all of it is done. Of stages within stages the innermost is shown."""
        if count < total:
            running = self._stages.setdefault(stage, _Stage(stage, time.monotonic()))
            running.count, running.total = count, total
        else:
            self._stages.pop(stage, None)
        self._update()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Leave the terminal to somebody else."""
        self._hidden += 1
        self._update()
        try:
            yield
        finally:
            self._hidden -= 1
            self._update()

    @contextmanager
    def bar(self) -> Iterator[Callable[[int, int | None, str], None]]:
        """A list's progress bar; called with jobs done, their number if known, and a remark."""
        if not self._wanted:
            yield lambda done, total, remark: None
            return
        from rich.progress import (
            BarColumn,
            Progress,
            RenderableColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            BarColumn(),
            TextColumn("{task.completed}/{task.fields[of]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            RenderableColumn(self),
        )
        bar = Progress(*columns, console=stderr_console(), transient=True, redirect_stdout=False)
        task = bar.add_task("", total=None, of="?")

        def report(done: int, total: int | None, remark: str) -> None:
            self._remark = remark
            bar.update(task, completed=done, total=total, of="?" if total is None else str(total))

        self._stop()
        self._live, self._bar = bar, True
        self._update()
        try:
            yield report
        finally:
            self._stop()
            self._live, self._bar, self._remark = None, False, ""
            self._update()

    def close(self) -> None:
        """Give the line back, whatever goes on."""
        self._stages.clear()
        self._update()

    @property
    def _wanted(self) -> bool:
        return not self._quiet and sys.stderr.isatty()

    def _update(self) -> None:
        """Draw the line, or take it away."""
        if self._hidden or not (self._bar or self._stages):
            self._stop()
        elif self._bar:
            self._live.start()
        elif self._live is None and self._wanted:
            from rich.status import Status as Spinner

            self._live = Spinner(self, console=stderr_console())
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        if not self._bar:
            self._live = None

    def __rich__(self) -> Text:
        from rich.text import Text

        stages = [str(stage) for stage in list(self._stages.values())[-1:]]
        return Text(one_line("  ".join(filter(None, (self._remark, *stages)))))


def duration(seconds: float) -> str:
    """About how long, in the unit that people would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def stderr_console() -> Console:
    """A rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
