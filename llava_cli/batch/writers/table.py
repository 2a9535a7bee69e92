# SPDX-License-Identifier: Apache-2.0
"""The records as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llava_cli.atomic import AtomicFile
from llava_cli.batch.writers.writer import Writer
from llava_cli.media.clip import Media

COLUMNS = ("id", "status", "media", "question", "answer", "error")


class CsvFile(Writer):
    """A row for each record; the file is there when all are."""

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        for record, _ in records:
            paths = [medium["path"] for medium in record["media"]]
            self._rows.writerow(
                [
                    record["id"],
                    record["status"],
                    paths[0] if len(paths) == 1 else json.dumps(paths) if paths else "",
                    record["question"],
                    record.get("answer", ""),
                    record.get("error", {}).get("message", ""),
                ]
            )

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.discard()
