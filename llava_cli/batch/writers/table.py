# SPDX-License-Identifier: Apache-2.0
"""The records as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from typing import Any

from llava_cli.batch.writers.track import caption_of
from llava_cli.batch.writers.writer import Target, Writer, sink_of
from llava_cli.captions import PLAIN, Wording
from llava_cli.media.clip import Media

COLUMNS = ("id", "status", "media", "question", "answer", "error", "start", "end")


_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"}


def harmless(text: str) -> str:
    """A cell that no spreadsheet runs: what looks like a formula begins with an apostrophe, controls are spaces."""
    text = text.translate(_CONTROLS)
    return f"'{text}" if _FORMULA.match(text) else text


class CsvFile(Writer):
    """A row for each record; a file is there when all are. Of windows, `start` and `end` are seconds."""

    def __init__(self, target: Target, wording: Wording = PLAIN) -> None:
        self._file, self._wording = sink_of(target), wording
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        for record, _ in records:
            summary, window = record.get("summary"), record.get("window") or {}
            paths = [medium["path"] for medium in ([summary] if summary else record["media"])]
            cells = [
                record["id"],
                record["status"],
                paths[0] if len(paths) == 1 else json.dumps(paths) if paths else "",
                record["question"],
                caption_of(record, self._wording) if "answer" in record else "",
                record.get("error", {}).get("message", ""),
                window.get("start", ""),
                window.get("end", ""),
            ]
            self._rows.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in cells])

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.discard()
