# SPDX-License-Identifier: Apache-2.0
"""Standard input, where it stands in for a file: `-`."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from llava_cli.errors import InputError


def stdin_is_terminal() -> bool:
    """Whether a person would have to type what is read from standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def open_stdin() -> BinaryIO:
    """Standard input as bytes. To close this leaves it open.

    Raises:
        InputError: it is closed, a terminal, or a folder.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file, or pipe one in")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a file into it, or name one")
    try:
        # Not sys.stdin itself: a thread that is still reading it when the program ends would keep it from ending.
        return os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    except OSError as error:
        raise InputError(f"standard input cannot be read: {error.strerror}; name a file, or pipe one in") from error
