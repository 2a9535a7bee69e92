# SPDX-License-Identifier: Apache-2.0
"""The records as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llava_cli.atomic import AtomicFile
from llava_cli.batch.writers.writer import Writer
from llava_cli.media.clip import Media

COLUMNS = ("id", "status", "media", "question", "answer", "error")


_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"}


def harmless(text: str) -> str:
    """A cell that no spreadsheet runs: what looks like a formula begins with an apostrophe, controls are spaces."""
    text = text.translate(_CONTROLS)
    return f"'{text}" if _FORMULA.match(text) else text


class CsvFile(Writer):
    """A row for each record; the file is there when all are."""

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        for record, _ in records:
            paths = [medium["path"] for medium in record["media"]]
            cells = [
                record["id"],
                record["status"],
                paths[0] if len(paths) == 1 else json.dumps(paths) if paths else "",
                record["question"],
                record.get("answer", ""),
                record.get("error", {}).get("message", ""),
            ]
            self._rows.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in cells])

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.discard()
