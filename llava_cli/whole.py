# SPDX-License-Identifier: Apache-2.0
"""A file that grows beside its place and takes it when it is closed: never half there."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from llava_cli.errors import OutputError, write_failure


class WholeFile:
    """Open for writing; `close` puts it in its place.

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
    file = WholeFile(path)
    try:
        file.write(data)
        file.close()
    finally:
        file.discard()
