# SPDX-License-Identifier: Apache-2.0
"""Exit codes, and the few errors a user can meet. Each message says what is wrong, with which file, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the process ends with. Part of the interface: scripts branch on these."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    OUT_OF_MEMORY = 5
    OUTPUT = 6
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class LlavaError(Exception):
    """Base of every error that is shown to the user as one line.

    `code` is the stable name that error records carry, `exit_code` what the process ends with.
    """

    code = "error"
    exit_code = ExitCode.BUG
    known: Mapping[str, Any] = {}
    """What is known of the question that failed: arguments of `error_record`."""
    earlier: Sequence[dict[str, Any]] = ()
    """Records of the questions that the same command has answered before, for the file that gets this failure's."""
    finish_reason: str | None = None
    """How an answer ended that there was, and that cannot be used."""
    recorded = False
    """Whether its record has been written, where records were asked for."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # Classes that make their message of other things could not be made again of the message.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[LlavaError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> LlavaError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(attributes)
    return error


class UsageError(LlavaError):
    """The command line or an option's value makes no sense."""

    code = "usage"
    exit_code = ExitCode.USAGE


class InputError(LlavaError):
    """A file cannot be read, has no picture in it, or may not be read."""

    code = "input"
    exit_code = ExitCode.INPUT


class ModelError(LlavaError):
    """The checkpoint cannot be found, is of no supported family, or cannot be loaded."""

    code = "model"
    exit_code = ExitCode.MODEL


class OutOfMemory(LlavaError):
    """The device has too little memory for what was asked."""

    code = "out_of_memory"
    exit_code = ExitCode.OUT_OF_MEMORY


class OutputError(LlavaError):
    """The result cannot be written."""

    code = "output"
    exit_code = ExitCode.OUTPUT


def write_failure(where: object, error: OSError) -> OutputError:
    """The error to raise where something cannot be written to a file."""
    reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return OutputError(f"{where}: cannot be written: {reason}")


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def forget_origin(error: BaseException) -> None:
    """Have an error let go of the calls that raised it, and so of all that they held: pictures, tensors."""
    error.__traceback__ = error.__cause__ = error.__context__ = None


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt, not an Exception: no handler may swallow it."""
