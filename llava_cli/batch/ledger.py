# SPDX-License-Identifier: Apache-2.0
"""The ledger: a file of records that is true after a crash, and that several processes may write.

It is only ever appended to, under a lock, one write and one fsync a record. A record that a killed process left half
written is the last line, without its end; it is cut off before anything else is written.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from llava_cli.atomic import write_all
from llava_cli.batch.claims import Claims
from llava_cli.batch.identity import identity
from llava_cli.batch.index import Index, LedgerEntry
from llava_cli.batch.jobs import LONGEST_LINE
from llava_cli.errors import OutputError, write_failure
from llava_cli.media.named import path_of
from llava_cli.record import to_json

_BEGINNING = b'{"schema_version": '
_PATIENCE_S = 120
_CHUNK = 1 << 20


class Ledger:
    """A file of records.

    Raises (the constructor):
        OutputError: the file cannot be written, or holds something else.
    """

    def __init__(self, path: Path, retry_failed: bool = False, force: bool = False) -> None:
        self.path = path
        self._read = 0
        self._lines = 0
        with ExitStack() as opened:
            self._open(path, opened)
            opened.pop_all()
        # Failures, or everything, up to here is to be done again.
        self._failed_from = self._read if retry_failed or force else 0
        self._done_from = self._read if force else 0

    def find(self, identity: bytes) -> LedgerEntry | None:
        """The record of this identity, unless it is to be made again."""
        entry = self._index.find(identity)
        return entry if entry and entry.offset >= (self._done_from if entry.ok else self._failed_from) else None

    def done(self, key: str) -> dict[str, Any] | None:
        """A record with an answer to the same work."""
        offset = self._index.done(key)
        return None if offset is None or offset < self._done_from else self.read(offset)

    def read(self, offset: int) -> dict[str, Any]:
        """The record that begins there."""
        with self._reported():
            return dict(json.loads(b"".join(self._line(offset))))

    def claim(self, identities: Sequence[bytes]) -> set[bytes]:
        """Those that have no record and that nobody is at work on; from now on they are this process's."""
        with self._locked():
            self._catch_up()
            missing = {identity for identity in identities if self.find(identity) is None}
            ours = missing - self._claims.of_others() if missing else missing
            if ours:
                self._claims.add(ours)
        return ours

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record; when this returns, it is on the disk.

        Raises:
            OutputError: it cannot be; the ledger is as it was before.
        """
        line = to_json(dict(record)).encode("ascii") + b"\n"
        with self._locked():
            self._catch_up()
            end = self._read
            try:
                write_all(self._file, line)
                os.fsync(self._file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, end)
                raise
            self._catch_up()
            if "key" in record:
                self._claims.drop(_identity(record))

    def close(self) -> None:
        """Give back what was claimed."""
        with suppress(OutputError), self._locked():
            self._claims.close()
        self._index.close()
        os.close(self._file)

    def _open(self, path: Path, opened: ExitStack) -> None:
        self._index = Index()
        opened.callback(self._index.close)
        with self._reported():
            new = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            opened.callback(os.close, self._file)
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise OutputError(f"{path}: is not a regular file; without --output, records go to standard output")
            self._lock = FileLock(f"{path}.lock", timeout=_PATIENCE_S, thread_local=False)
        with self._locked():
            if new:
                _sync_folder(path)
            self._catch_up()
            self._claims = Claims(path.with_name(path.name + ".claims"))

    def _catch_up(self) -> None:
        """Read what was written since the last time, by whomever, and cut off what was written in part."""
        for offset, line in self._new_lines():
            self._lines += 1
            record = self._record(line)
            if "key" in record:
                entry = LedgerEntry(offset, record.get("status") == "ok")
                self._index.add(_identity(record), record["key"], entry)
        torn = os.fstat(self._file).st_size - self._read
        if torn:
            self._check_torn(b"".join(self._line(self._read)))
            os.ftruncate(self._file, self._read)
            os.fsync(self._file)

    def _new_lines(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines from where reading ended, with their offsets."""
        rest = b""
        while chunk := os.pread(self._file, _CHUNK, self._read + len(rest)):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                offset, self._read = self._read, self._read + len(line) + 1
                yield offset, line
            if len(rest) > LONGEST_LINE:
                return

    def _line(self, offset: int) -> Iterator[bytes]:
        while chunk := os.pread(self._file, _CHUNK, offset):
            line, end, _ = chunk.partition(b"\n")
            yield line
            if end:
                return
            offset += len(chunk)

    def _record(self, line: bytes) -> dict[str, Any]:
        if not line.strip():
            return {}
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or "schema_version" not in record:
            raise OutputError(
                f"{self.path}: line {self._lines} is not a record: this is not a ledger, or it is damaged"
            )
        return record

    def _check_torn(self, tail: bytes) -> None:
        """Cut nothing off that was not begun by a process like this one, or left empty by a power cut."""
        text = tail.lstrip(b"\0")
        if text and not (text.startswith(_BEGINNING) or _BEGINNING.startswith(text)):
            raise OutputError(
                f"{self.path}: ends with something that is not a record: this is not a ledger, or it is damaged"
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._reported(), self._lock:
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except Timeout as error:
            raise OutputError(f"{self.path}: another process keeps its lock ({self.path}.lock)") from error
        except OSError as error:
            raise OutputError(f"{write_failure(self.path, error)}; all records so far are intact") from error


class MemoryLedger:
    """In the place of a file of records where they go elsewhere: only knows which there were in this run."""

    def __init__(self) -> None:
        self._index = Index()

    def find(self, identity: bytes) -> LedgerEntry | None:
        return self._index.find(identity)

    def done(self, key: str) -> dict[str, Any] | None:
        return None

    def read(self, offset: int) -> dict[str, Any]:
        raise LookupError("these records are not kept")

    def claim(self, identities: Sequence[bytes]) -> set[bytes]:
        return set(identities)

    def append(self, record: Mapping[str, Any]) -> None:
        to_json(dict(record))  # what cannot be written is no record
        self._index.add(_identity(record), record["key"], LedgerEntry(-1, record["status"] == "ok"))

    def close(self) -> None:
        self._index.close()


def _identity(record: Mapping[str, Any]) -> bytes:
    return identity(record["key"], record["id"], [path_of(medium) or "" for medium in record["media"]])


def _sync_folder(path: Path) -> None:
    """Make sure that a new file's name is on the disk too."""
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
