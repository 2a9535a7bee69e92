# SPDX-License-Identifier: Apache-2.0
"""Records of one file that come in parts, a window at a time, held until all are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llava_cli.batch.writers.track import file_of

Records = Sequence[tuple[dict[str, Any], bool]]


class Gathered:
    """The records of files of which not all windows are done."""

    def __init__(self, summary: bool = False) -> None:
        """`summary`: a file is not done before there is an answer about all of it."""
        self._summary = summary
        self._open: dict[str, list[tuple[dict[str, Any], bool]]] = {}

    def with_these(self, records: Records) -> Records:
        """All records of the file that these are about, once they are there; none before that."""
        record = records[0][0] if records else {}
        path = file_of(record) or ""
        if not (record.get("window") or record.get("summary")):
            return records
        self._open.setdefault(path, []).extend(records)
        return self._open.pop(path) if self._is_whole(path) else ()

    def rest(self) -> Sequence[Records]:
        """The records of files of which something is missing: other processes have it."""
        rest, self._open = self._open, {}
        return list(rest.values())

    def _is_whole(self, path: str) -> bool:
        known = [record for record, _ in self._open[path]]
        windows = [record for record in known if record.get("window")]
        numbers = {record["window"]["number"] for record in windows}
        if not windows or len(numbers) < windows[0]["window"]["count"]:
            return False
        asked = {record["question"] for record in windows if not record.get("title") and record["status"] == "ok"}
        return not self._summary or sum(1 for record in known if record.get("summary")) >= len(asked)
