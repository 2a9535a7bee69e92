# SPDX-License-Identifier: Apache-2.0
"""Where words go: the answer to stdout, everything else to stderr. The only module that writes to stdout."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain

from llava_cli.atomic import write_all
from llava_cli.errors import OutputError, UsageError, write_failure
from llava_cli.progress import stage
from llava_cli.status import Status
from llava_cli.words import one_line, visible
from llava_cli.wrap import Wrapper


class Output:
    """Where one command writes its result, and shows how far it is."""

    def __init__(self, stdout: int, quiet: bool = False) -> None:
        self._stdout = stdout
        self.answers_to_terminal = os.isatty(stdout)
        self.status = Status(quiet)
        self.progress = self.status.progress
        """What sessions are given to tell how far they are."""

    def write(self, text: str) -> None:
        """Write a part of the result to stdout, at once.

        Raises:
            OutputError: it cannot be written (the disk is full, say).
            BrokenPipeError: the reader has gone.
        """
        with self.status.hidden() if self.answers_to_terminal else nullcontext():
            self._write(visible(text) if self.answers_to_terminal else text)

    def _write(self, text: str) -> None:
        try:
            write_all(self._stdout, text.encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_failure("stdout", error) from error

    def write_pieces(self, pieces: Iterable[str]) -> None:
        """Show a text on a terminal while it comes, its lines broken between words, and end its last line."""
        wrapper, rest = Wrapper(self.width()), iter(pieces)
        first = next(rest, "")
        with self.status.hidden():  # words are a sign of life themselves
            try:
                for piece in chain([first], rest):
                    self.write(wrapper.feed(visible(piece)))
            finally:
                self.write(wrapper.end() + "\n")

    def width(self) -> int:
        """Columns of the terminal that reads the answer; 0 where it is none, or one that does not say."""
        try:
            return os.get_terminal_size(self._stdout).columns if self.answers_to_terminal else 0
        except OSError:
            return 0

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Show that something takes its time."""
        with stage(self.progress, name):
            yield


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
        if quiet and verbose:
            raise UsageError("--quiet and --verbose cannot be used together")
        with guarded_stdout() as stdout:
            out = Output(stdout, quiet)
            try:
                yield out
            finally:
                out.status.close()
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
    if quiet or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def say(text: str) -> None:
    """Write a page of the program's own to stdout: help, a version.

    Raises:
        OutputError, BrokenPipeError: as `Output.write` does.
    """
    _check_stdout()
    Output(1).write(text + "\n")


def complain(message: str) -> None:
    """One line on stderr, even when quiet: an error."""
    with suppress(OSError, ValueError):
        sys.stderr.write(one_line(message.replace("\n", " ")) + "\n")
        sys.stderr.flush()


@contextmanager
def guarded_stdout() -> Iterator[int]:
    """Keep stdout for the answer: a private copy of it; whatever libraries print goes to stderr instead."""
    _flush()
    _check_stdout()
    private = os.dup(1)
    os.dup2(2, 1)
    try:
        yield private
    finally:
        _flush()
        os.dup2(private, 1)
        os.close(private)


def _check_stdout() -> None:
    if sys.stdout is None:
        raise OutputError("standard output is closed; redirect it to a file, or to /dev/null")


def _flush() -> None:
    with suppress(ValueError, OSError):
        if sys.stdout is not None:
            sys.stdout.flush()
