# SPDX-License-Identifier: Apache-2.0
"""Which files a list has written: known by name and content; what somebody has edited since is no longer its own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from llava_cli.atomic import write_all
from llava_cli.batch.index import Index, LedgerEntry
from llava_cli.errors import write_failure

_DIGEST = 16


class Own:
    """The files of this run, and of the earlier ones where a ledger is kept: their digests are in a file beside it."""

    def __init__(self, ledger: Path | None) -> None:
        self._path = None if ledger is None else ledger.with_name(ledger.name + ".sidecars")
        self._index: Index | None = None

    def add(self, file: Path, content: bytes) -> None:
        """Note that this has been written.

        Raises:
            OutputError: it cannot be noted.
        """
        self._noted(_digest(file, content))
        if self._path is None:
            return
        try:
            notes = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                # What a crash has left of a line before is ended first.
                write_all(notes, f"\n{_digest(file, content).hex()}\n".encode())
            finally:
                os.close(notes)
        except OSError as error:
            raise write_failure(self._path, error) from error

    def has(self, file: Path, content: bytes) -> bool:
        """Whether a file that holds this has been written here."""
        return self._read().find(_digest(file, content)) is not None

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def _noted(self, digest: bytes) -> None:
        self._read().add(digest, "", LedgerEntry(-1, True))

    def _read(self) -> Index:
        if self._index is None:
            self._index = Index()
            if self._path is not None and self._path.exists():
                with self._path.open("rb") as notes:
                    for line in notes:
                        if len(line) == 2 * _DIGEST + 1:
                            self._noted(bytes.fromhex(line.decode("ascii")))
        return self._index


def _digest(file: Path, content: bytes) -> bytes:
    return hashlib.sha256(os.fsencode(file.absolute()) + b"\0" + content).digest()[:_DIGEST]
