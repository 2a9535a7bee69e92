# SPDX-License-Identifier: Apache-2.0
"""Writing without halves: files that are whole or not there, all of some bytes, folders with those they are in."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from llava_cli.errors import OutputError, write_failure


class AtomicFile:
    """A file that grows beside its place, and takes it when it is closed.

    Raises (all methods):
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise self._failed(error) from error

    def write(self, data: str | bytes) -> int:
        """Append; text becomes UTF-8."""
        try:
            return self._file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        except OSError as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Leave nothing behind where `close` has not been called; its place stays as it was."""
        with suppress(OSError):
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> OutputError:
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
        return write_failure(self._path, error)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    file = AtomicFile(path)
    try:
        file.write(data)
        file.close()
    finally:
        file.discard()


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


def write_all(file: int, data: bytes | memoryview) -> None:
    """Write to a file descriptor, in as many calls as it takes. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those that it is in, where they are not there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
