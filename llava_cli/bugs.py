# SPDX-License-Identifier: Apache-2.0
"""Errors that nobody foresaw: a log of each, and how one of them is told where it must not end everything."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
import traceback
from pathlib import Path

from llava_cli import __version__
from llava_cli.errors import ExitCode, LlavaError, OutOfMemory, Terminated
from llava_cli.texts import masked

ENDINGS = (KeyboardInterrupt, SystemExit, GeneratorExit, Terminated)
"""What no handler may take for an error. Other BaseExceptions are: a library written in Rust panics with its own."""

_logs: dict[Path, Path | str] = {}
"""Of this process, by where it went wrong: a thousand files that meet the same bug have one log."""


def told(error: BaseException) -> str:
    """One line about an error that nobody foresaw, with the path of its log."""
    return f"this is a bug in llava: {type(error).__name__}: {error}; details in {log_of(error)}"


def as_failure(error: BaseException) -> LlavaError:
    """An error as that of a single job: itself where it says what is wrong, a bug in any other case."""
    if isinstance(error, LlavaError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("the machine's memory ran out; close other programs, or ask for fewer --frames")
    failure = LlavaError(told(error), code="bug")
    failure.exit_code = ExitCode.BUG
    return failure


def log_of(error: BaseException) -> Path | str:
    """The file that holds an error's traceback, written now where no error came from the same place before."""
    from platformdirs import user_state_path

    trace = "".join(traceback.format_tb(error.__traceback__))
    digest = hashlib.sha256(f"{type(error)}{trace}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    place = user_state_path("llava") / digest
    if place not in _logs:
        _logs[place] = _write(error, place.parent, f"{time.strftime('crash-%Y%m%d-%H%M%S')}-{os.getpid()}-{digest}.log")
    return _logs[place]


def _write(error: BaseException, folder: Path, name: str) -> Path | str:
    text = (
        f"llava {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{sys.argv!r}\n\n{''.join(traceback.format_exception(error))}"
    )
    path = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(0o600)  # others must not read it: a traceback may hold a question, a path, an address
        path.write_text(masked(text), "utf-8", "backslashreplace")
    except OSError as failure:
        return f"nowhere, because the log could not be written ({failure})"
    return path
