# SPDX-License-Identifier: Apache-2.0
"""Where words go: the answer to stdout, everything else to stderr. The only module that writes to stdout."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from llava_cli.atomic import write_all
from llava_cli.errors import OutputError, write_failure
from llava_cli.texts import printable
from llava_cli.wrap import Wrapper

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

# What could move a terminal's cursor, write its clipboard or change its title: control characters, C1 ones too.
_CONTROL = {code: None for code in (*range(0x00, 0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Output:
    """Where one command writes its result, and shows how far it is."""

    def __init__(self, stdout: int, quiet: bool = False) -> None:
        self._stdout = stdout
        self.quiet = quiet
        self.answers_to_terminal = os.isatty(stdout)
        self._status: Status | None = None

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

    def write_pieces(self, pieces: Iterable[str]) -> None:
        """Show a text on a terminal while it comes, its lines broken between words, and end its last line."""
        wrapper = Wrapper(self.width())
        begun = ended = False
        try:
            for piece in pieces:
                begun = True
                self.write(wrapper.feed(piece))
            ended = True
        finally:
            if begun or ended:
                self.write(wrapper.end() + "\n")

    def width(self) -> int:
        """Columns of the terminal that reads the answer; 0 where it is none, or one that does not say."""
        try:
            return os.get_terminal_size(self._stdout).columns if self.answers_to_terminal else 0
        except OSError:
            return 0

    def progress(self, stage: str, count: int, total: int) -> None:
        """Show on stderr, where it is a terminal, what takes its time; a stage ends when all of it is done."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if count < total and not self.quiet and sys.stderr is not None and sys.stderr.isatty():
            from rich.text import Text

            self._status = stderr_console().status(Text(visible(stage)))
            self._status.start()

    @contextmanager
    def working(self, stage: str) -> Iterator[None]:
        """Show that something takes its time."""
        self.progress(stage, 0, 1)
        try:
            yield
        finally:
            self.progress(stage, 1, 1)


@contextmanager
def console(quiet: bool = False, verbose: bool = False) -> Iterator[Output]:
    """The streams of one command: stdout is kept for its result, and what is logged is said on stderr.

    Args:
        quiet: say errors only.
        verbose: say what is loaded and shown, and why.
    """
    logger, handler = logging.getLogger("llava_cli"), _Handler()
    level = logger.level
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    logger.addHandler(handler)
    _quiet_libraries(quiet, verbose)
    try:
        with guarded_stdout() as stdout:
            yield Output(stdout, quiet)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Handler(logging.Handler):
    """Says what is logged, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(f"llava: {record.getMessage()}")


def _quiet_libraries(quiet: bool, verbose: bool) -> None:
    """Keep the libraries' own chatter off the terminal; progress bars stay, where there is a terminal."""
    level = "warning" if verbose and not quiet else "error"
    logging.getLogger("bitsandbytes").setLevel(level.upper())
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", level)
    os.environ.setdefault("HF_HUB_VERBOSITY", level)
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def stdin_is_terminal() -> bool:
    """Whether a person would have to type what is read from standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def visible(text: str) -> str:
    """Text that cannot do anything to a terminal."""
    return printable(text).translate(_CONTROL)


def complain(message: str) -> None:
    """One line on stderr, even when quiet: an error."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(visible(message.replace("\n", " ")) + "\n")
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
            bar.update(task, completed=done, total=total, of=of, remark=visible(remark))

        yield report


@contextmanager
def guarded_stdout() -> Iterator[int]:
    """Keep stdout for the answer: a private copy of it; whatever libraries print goes to stderr instead."""
    _flush()
    try:
        private = os.dup(1)
    except OSError as error:
        raise OutputError("standard output is closed; redirect it to a file, or to /dev/null") from error
    os.dup2(2, 1)
    try:
        yield private
    finally:
        _flush()
        os.dup2(private, 1)
        os.close(private)


def _flush() -> None:
    with suppress(ValueError, OSError):
        if sys.stdout is not None:
            sys.stdout.flush()
