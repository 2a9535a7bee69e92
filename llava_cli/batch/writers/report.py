# SPDX-License-Identifier: Apache-2.0
"""The records as one HTML file: what the model saw, what it was asked, what it said."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import jinja2

from llava_cli.atomic import AtomicFile
from llava_cli.batch.writers.writer import Writer
from llava_cli.media.clip import Media
from llava_cli.media.sheet import LEGIBLE_WIDTH, draw_sheet

_COLUMNS = 5
_CHUNK = 1 << 20

_ENVIRONMENT = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)


class Report(Writer):
    """Collects sections on disk, those with failures apart; the file is there when all are."""

    needs_media = True

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._page = _ENVIRONMENT.get_template("report.html.jinja")
        module: Any = self._page.module
        self._section = module.section
        self._parts = [_spool(), _spool()]

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        whole = all(record["status"] == "ok" for record, _ in records)
        section = self._section([record for record, _ in records], [_picture(medium) for medium in media])
        self._parts[whole].write(section)

    def close(self) -> None:
        for piece in self._page.generate(sections=self._sections()):
            self._file.write(piece)
        self._file.close()

    def discard(self) -> None:
        for part in self._parts:
            part.close()
        self._file.discard()

    def _sections(self) -> Iterator[str]:
        """What was put so far, failures first, in pieces."""
        for part in self._parts:
            part.seek(0)
            while text := part.read(_CHUNK):
                yield text
            part.close()


def _spool() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")


def _picture(medium: Media) -> tuple[str, str]:
    """All frames that were shown, small, in one picture: its data and its title."""
    data = io.BytesIO()
    draw_sheet(medium, _COLUMNS, widest=LEGIBLE_WIDTH).save(data, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}", medium.info.path
