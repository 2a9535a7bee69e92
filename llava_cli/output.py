# SPDX-License-Identifier: Apache-2.0
"""Where words go: the answer to stdout, everything else to stderr. The only module that writes to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llava_cli.atomic import write_all
from llava_cli.errors import OutputError, write_failure
from llava_cli.record import printable
from llava_cli.wrap import Wrapper

if TYPE_CHECKING:
    from rich.console import Console

# What could move a terminal's cursor, write its clipboard or change its title: control characters, C1 ones too.
_CONTROL = {code: None for code in (*range(0x00, 0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Output:
    """The streams of one command."""

    def __init__(self, stdout: int, quiet: bool = False, verbose: bool = False) -> None:
        self._stdout = stdout
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.answers_to_terminal = os.isatty(stdout)

    def write(self, text: str) -> None:
        """Write a part of the result to stdout, at once.

        Raises:
            OutputError: it cannot be written (the disk is full, say).
            BrokenPipeError: the reader has gone.
        """
        if self.answers_to_terminal:
            text = text.translate(_CONTROL)
        try:
            write_all(self._stdout, text.encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_failure("stdout", error) from error

    def say(self, message: str) -> None:
        """A line for the user on stderr: a notice, not the result."""
        if not self.quiet:
            complain(message)

    def detail(self, message: str) -> None:
        """A line on stderr for those who asked to be told more."""
        if self.verbose:
            complain(message)

    def width(self) -> int:
        """Columns of the terminal that reads the answer; 0 where it is none, or one that does not say."""
        try:
            return os.get_terminal_size(self._stdout).columns if self.answers_to_terminal else 0
        except OSError:
            return 0

    @contextmanager
    def working(self, message: str) -> Iterator[None]:
        """Show on stderr, where it is a terminal, that something takes its time."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        with stderr_console().status(message):
            yield


class AnswerWriter:
    """Shows an answer on a terminal while it comes, its lines broken between words."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._wrapper = Wrapper(out.width())
        self.used = False

    def __call__(self, text: str) -> None:
        self.used = True
        self._out.write(self._wrapper.feed(text))

    def end(self) -> None:
        """The answer is complete."""
        self._out.write(self._wrapper.end())


def complain(message: str) -> None:
    """One line on stderr, even when quiet: an error."""
    with suppress(OSError, ValueError):
        sys.stderr.write(printable(message).replace("\n", " ").translate(_CONTROL) + "\n")
        sys.stderr.flush()


def stderr_console() -> Console:
    """A rich console on stderr, for tables and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def batch_bar(out: Output) -> Iterator[Callable[[int, int | None, str], None]]:
    """A progress bar on stderr, where it is a terminal; called with jobs done, their number if known, and a remark."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = stderr_console()
    if out.quiet or not console.is_terminal:
        yield lambda done, total, remark: None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.fields[of]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=None, of="?", remark="")

        def report(done: int, total: int | None, remark: str) -> None:
            of = "?" if total is None else str(total)
            bar.update(task, completed=done, total=total, of=of, remark=printable(remark).translate(_CONTROL))

        yield report


@contextmanager
def guarded_stdout() -> Iterator[int]:
    """Keep stdout for the answer: a private copy of it; whatever libraries print goes to stderr instead."""
    with suppress(ValueError, OSError):
        sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    try:
        yield private
    finally:
        with suppress(ValueError, OSError):
            sys.stdout.flush()
        os.dup2(private, 1)
        os.close(private)


def check_writable(path: Path | None) -> None:
    """Find out before minutes of work that a file could not be written.

    Raises:
        OutputError: it could not be.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: cannot be written: {'is a folder' if path.is_dir() else 'its folder is read-only'}")
