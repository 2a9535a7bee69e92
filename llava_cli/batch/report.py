# SPDX-License-Identifier: Apache-2.0
"""The records as one HTML file: what the model saw, what it was asked, what it said. It needs no network."""

from __future__ import annotations

import base64
import html
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from llava_cli.atomic import AtomicFile
from llava_cli.media.clip import Clip, Media

_THUMBNAIL, _COLUMNS = 96, 8
_CHUNK = 1 << 20

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>llava</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem }
header { background: Canvas; padding: .5rem 0; position: sticky; top: 0 }
input { font: inherit; padding: .3rem .5rem; width: 100%; box-sizing: border-box }
section { border-top: 1px solid #8886; padding: .7rem 0 }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere }
img { display: block; margin: .4rem 0; max-width: 100% }
dt { font-weight: 600 } dd { margin: 0 0 .5rem; white-space: pre-wrap }
.error { color: #c33 } small { opacity: .7 }
:root { color-scheme: light dark }
</style></head><body>
<header><input id="filter" type="search" placeholder="Filter" aria-label="Filter"> <small id="count"></small></header>
<main>
"""
_TAIL = """</main><script>
const sections = [...document.querySelectorAll("section")], count = document.getElementById("count");
const texts = sections.map(section => section.textContent.toLowerCase());
function show() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  sections.forEach((section, i) => {
    section.hidden = !words.every(word => texts[i].includes(word));
    shown += !section.hidden;
  });
  count.textContent = shown + " of " + sections.length;
}
document.getElementById("filter").addEventListener("input", show);
show();
</script></body></html>
"""


class Report:
    """Collects sections on disk, those with failures apart; the file is there when all are."""

    needs_media = True

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path)
        self._parts = [_spool(), _spool()]

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        whole = all(record["status"] == "ok" for record, _ in records)
        self._parts[whole].write(_section([record for record, _ in records], media))

    def close(self) -> None:
        self._file.write(_HEAD)
        for part in self._parts:
            part.seek(0)
            while text := part.read(_CHUNK):
                self._file.write(text)
            part.close()
        self._file.write(_TAIL)
        self._file.close()

    def discard(self) -> None:
        for part in self._parts:
            part.close()
        self._file.discard()


def _spool() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")


def _section(records: Sequence[dict[str, Any]], media: Sequence[Media]) -> str:
    names = ", ".join(medium["path"] for medium in records[0]["media"]) or str(records[0]["id"])
    lines = [f"<section><h2>{html.escape(names)}</h2>", *map(_picture, media), "<dl>"]
    for record in records:
        lines.append(f"<dt>{html.escape(record['question'])}</dt>")
        if record["status"] == "ok":
            lines.append(f"<dd>{html.escape(record['answer'])}</dd>")
        else:
            lines.append(f'<dd class="error">{html.escape(record["error"]["message"])}</dd>')
    return "\n".join([*lines, "</dl></section>\n"])


def _picture(medium: Media) -> str:
    """All frames that were shown, small, in one picture."""
    frames = medium.frames if isinstance(medium, Clip) else medium.pixels[None]
    height = min(_THUMBNAIL, frames.shape[1])
    width = max(1, min(4 * _THUMBNAIL, round(frames.shape[2] * height / frames.shape[1])))
    columns = min(_COLUMNS, len(frames))
    sheet = Image.new("RGB", (columns * width, -(-len(frames) // columns) * height))
    for place, frame in enumerate(frames):
        small = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.BILINEAR)
        sheet.paste(small, (place % columns * width, place // columns * height))
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=70)
    times = [f"{time:.2f}" for time in medium.times] if isinstance(medium, Clip) else []
    title = html.escape(f"{medium.info.path}: {', '.join(times)} s" if times else medium.info.path)
    source = base64.b64encode(data.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{title}" title="{title}" loading="lazy">'
