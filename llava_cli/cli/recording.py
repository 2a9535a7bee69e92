# SPDX-License-Identifier: Apache-2.0
"""The file that `--output` of a single question names: it gets the record of the answer, or of the failure."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from llava_cli.atomic import check_writable, write_file
from llava_cli.errors import OutputError
from llava_cli.record import to_json

_LONGEST = 1 << 24
"""Bytes of a record."""


def check_file(path: Path | None, append: bool) -> None:
    """Find out before minutes of work that records could not be written to a file.

    Raises:
        OutputError: they could not; or it holds records already, and nothing was said of appending.
    """
    check_writable(path)
    if path is None:
        return
    if append:
        keep(path, append)
    elif _holds_records(path):
        raise OutputError(f"{path}: holds records of other questions; --append adds to them")


def keep(path: Path, append: bool, *records: dict[str, Any]) -> None:
    """Write records to a file: in its place whole or not at all, or behind those that it holds.

    Raises:
        OutputError: they cannot be written.
    """
    if not append:
        write_file(path, "".join(to_json(record) + "\n" for record in records).encode())
        return
    from llava_cli.batch.ledger import Ledger

    with closing(Ledger(path)) as ledger:
        for record in records:
            ledger.append(record)


def _holds_records(path: Path) -> bool:
    """Whether a file is a ledger: it has several records, or one of a list. A single answer may be replaced."""
    try:
        with path.open("rb") as file:
            first, more = file.readline(_LONGEST), file.read(1)
        record = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "schema_version" in record and (bool(more) or "key" in record)
