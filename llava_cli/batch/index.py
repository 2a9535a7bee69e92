# SPDX-License-Identifier: Apache-2.0
"""Which records there are, and where. Kept in a temporary database on disk, so that millions take no memory."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from llava_cli.errors import OutputError


@dataclass(frozen=True)
class LedgerEntry:
    """A record that was written."""

    offset: int
    """Where it begins in the ledger; -1 where there is none."""
    ok: bool


class Index:
    """Records by identity (for which job) and by key (of which work)."""

    def __init__(self) -> None:
        # An empty name is a database of its own in a temporary file, which SQLite removes.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000; PRAGMA temp_store = FILE;"
            "CREATE TABLE entries (identity BLOB PRIMARY KEY, offset INTEGER, ok INTEGER) WITHOUT ROWID;"
            "CREATE TABLE done (key BLOB PRIMARY KEY, offset INTEGER) WITHOUT ROWID;"
        )

    def add(self, identity: bytes, key: str, entry: LedgerEntry) -> None:
        """Note a record; a later one takes the place of an earlier one.

        Raises:
            OutputError: the disk for temporary files is full.
        """
        try:
            self._database.execute("REPLACE INTO entries VALUES (?, ?, ?)", (identity, entry.offset, entry.ok))
            if entry.ok and entry.offset >= 0:
                self._database.execute("REPLACE INTO done VALUES (?, ?)", (bytes.fromhex(key[:32]), entry.offset))
        except sqlite3.Error as error:
            raise OutputError(f"a temporary file cannot be written: {error}; TMPDIR names another disk") from error

    def find(self, identity: bytes) -> LedgerEntry | None:
        """The record of this identity."""
        row = self._database.execute("SELECT offset, ok FROM entries WHERE identity = ?", (identity,)).fetchone()
        return row and LedgerEntry(row[0], bool(row[1]))

    def done(self, key: str) -> int | None:
        """Where a record of the same work is that has an answer."""
        row = self._database.execute("SELECT offset FROM done WHERE key = ?", (bytes.fromhex(key[:32]),)).fetchone()
        return row and row[0]

    def close(self) -> None:
        self._database.close()
