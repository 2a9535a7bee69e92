# SPDX-License-Identifier: Apache-2.0
"""A ledger read back, without touching it: of each job the record that counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from llava_cli.batch.identity import identity
from llava_cli.batch.index import Index, LedgerEntry
from llava_cli.batch.jobs import LONGEST_LINE
from llava_cli.batch.writers.track import file_of
from llava_cli.errors import InputError
from llava_cli.media.named import path_of

Record = dict[str, Any]


def records_of(path: Path) -> Iterator[Record]:
    """The records of a ledger in their order; of several of one job the last, but no failure after an answer.

    Half a line that a crash has left at the end is passed over.

    Raises:
        InputError: it cannot be read, or is no ledger.
    """
    with closing(Index()) as index:
        for offset, record in _lines(path):
            known = index.find(_identity(record))
            ok = record["status"] == "ok"
            if ok or known is None or not known.ok:
                index.add(_identity(record), "", LedgerEntry(offset, ok))
        for offset, record in _lines(path):
            entry = index.find(_identity(record))
            if entry is not None and entry.offset == offset:
                yield record


def by_file(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records about each file together, the files in the order in which they are first met."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if (path := file_of(record)) is not None:
            found.setdefault(path, []).append(record)
    yield from found.values()


def _lines(path: Path) -> Iterator[tuple[int, Record]]:
    offset = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                if line.strip() and line.endswith(b"\n"):
                    yield offset, _record(path, line)
                offset += len(line)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _record(path: Path, line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not {"schema_version", "status", "media"} <= record.keys():
        raise InputError(f"{path}: is no ledger: a line of it is not a record")
    return record


def _identity(record: Record) -> bytes:
    media = [path_of(medium) or "" for medium in record["media"]]
    return identity(record.get("key", ""), record.get("id") or "", media)
