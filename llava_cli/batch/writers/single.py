# SPDX-License-Identifier: Apache-2.0
"""One text for a run, in the place of records: the captions as lines, or what was said along the time of one video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from llava_cli.batch.writers.forms import FORMS, FormName, Timed
from llava_cli.batch.writers.gathered import Gathered, Records
from llava_cli.batch.writers.track import file_of
from llava_cli.batch.writers.writer import Target, Writer, sink_of
from llava_cli.captions import PLAIN, Wording
from llava_cli.errors import OutputError
from llava_cli.media.clip import Media
from llava_cli.words import one_line


class SingleText(Writer):
    """Writes each file's text when all of its records are there; what has times, of one video only."""

    def __init__(self, name: FormName, target: Target, wording: Wording = PLAIN, summary: bool = False) -> None:
        """`summary`: a video is not done before there is an answer about all of it."""
        self._name, self._form, self._wording = name, FORMS[name], wording
        self._gathered, self._sink = Gathered(summary), sink_of(target)
        self._path: str | None = None

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        self._tell(self._gathered.with_these(records))

    def close(self) -> None:
        for records in self._gathered.rest():
            self._tell(records)
        self._sink.close()

    def discard(self) -> None:
        self._sink.discard()

    def _tell(self, records: Records) -> None:
        text = self._form.of([record for record, _ in records], self._wording) if records else ""
        if not text:
            return
        path = file_of(records[0][0])
        if self._name in get_args(Timed) and self._path not in (None, path):
            raise OutputError(
                f"{one_line(path or '')}: is the second video, and {self._name} holds one; --sidecar {self._name} "
                "writes a file beside each"
            )
        self._path = path
        self._sink.write(text)
