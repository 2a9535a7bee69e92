# SPDX-License-Identifier: Apache-2.0
"""The records as one HTML file: what the model saw, what it was asked, what it said."""

from __future__ import annotations

import base64
import io
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import jinja2

from llava_cli.atomic import AtomicFile
from llava_cli.batch.writers.writer import Writer
from llava_cli.media.clip import Clip, Media
from llava_cli.media.sampling import clock
from llava_cli.media.sheet import LEGIBLE_WIDTH, draw_sheet

_CHUNK = 1 << 20
_MOST_MODELS = 20

_ENVIRONMENT = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)


class Report(Writer):
    """Collects sections on disk, those with failures apart; the file is there when all are."""

    needs_media = True

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._page = _ENVIRONMENT.get_template("report.html.jinja")
        module: Any = self._page.make_module({"counts": {}})
        self._section = module.section
        self._parts = [_spool(), _spool()]
        self._counts: Counter[str] = Counter()
        self._models: dict[str, None] = {}

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        told = [record for record, _ in records]
        section = self._section(told, [_picture(medium) for medium in media], _warnings(told))
        self._parts[all(record["status"] == "ok" for record in told)].write(section)
        self._counts.update(record["status"] for record in told)
        self._counts["files"] += 1
        if len(self._models) < _MOST_MODELS:
            self._models |= dict.fromkeys(_model(record["model"]) for record in told if record.get("model"))

    def close(self) -> None:
        heading = {"date": time.strftime("%Y-%m-%d %H:%M"), "models": list(self._models), "counts": self._counts}
        for piece in self._page.generate(sections=self._sections(), **heading):
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


def _picture(medium: Media) -> dict[str, str]:
    """All frames that were shown, small, in one picture: its data, the file's name, and what they are."""
    data = io.BytesIO()
    draw_sheet(medium, widest=LEGIBLE_WIDTH).save(data, "JPEG", quality=70)
    info = medium.info
    about = f"{info.width}x{info.height} {info.codec or info.kind}"
    if isinstance(medium, Clip):
        times = ", ".join(map(clock, medium.times))
        about += f", {len(medium.times)} {'frame' if len(medium.times) == 1 else 'frames'}: {times}"
    source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    return {"source": source, "name": info.path, "about": about}


def _warnings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was odd about the files, and what was changed of what was asked for, each once."""
    said = [warning for record in records for of in (*record["media"], record) for warning in of.get("warnings", ())]
    return list(dict.fromkeys(said))


def _model(model: Mapping[str, Any]) -> str:
    """Who answered, in one line."""
    numbers = model.get("quantization") or model.get("dtype")
    known = [model.get("checkpoint"), model.get("family"), numbers, model.get("device")]
    return ", ".join(str(part) for part in known if part)
