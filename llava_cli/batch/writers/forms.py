# SPDX-License-Identifier: Apache-2.0
"""The forms that what was said of a file is written in: a name, the suffix of files, and a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llava_cli.batch.writers.chapters import ffmetadata, web_chapters
from llava_cli.batch.writers.srt import subtitles
from llava_cli.batch.writers.track import Track, track_of
from llava_cli.batch.writers.vtt import descriptions
from llava_cli.captions import PLAIN, Wording

Timed = Literal["srt", "vtt", "chapters", "ffmetadata"]
"""Those with times, which hold one video each."""
FormName = Literal["txt", "json", Timed]


@dataclass(frozen=True)
class Form:
    """How the records of one file become a text."""

    suffix: str
    write: Callable[[Sequence[dict[str, Any]], Wording], str]

    def of(self, records: Sequence[dict[str, Any]], wording: Wording = PLAIN) -> str:
        """The text; empty where the records say nothing that it could hold."""
        return self.write(records, wording)


def _lines(records: Sequence[dict[str, Any]], wording: Wording) -> str:
    """The captions, a line each; or only that of the whole, where it was made of those of the windows."""
    track = track_of(records, wording)
    return "".join(f"{text}\n" for text in track.summaries or track.texts)


def _list(records: Sequence[dict[str, Any]], wording: Wording) -> str:
    return json.dumps(records, indent=1) + "\n"


def _timed(text_of: Callable[[Track], str]) -> Callable[[Sequence[dict[str, Any]], Wording], str]:
    def write(records: Sequence[dict[str, Any]], wording: Wording) -> str:
        track = track_of(records, wording)
        return text_of(track) if track.cues or track.titles else ""

    return write


FORMS: dict[str, Form] = {
    "txt": Form("txt", _lines),
    "json": Form("json", _list),
    "srt": Form("srt", _timed(subtitles)),
    "vtt": Form("vtt", _timed(descriptions)),
    "chapters": Form("chapters.vtt", _timed(web_chapters)),
    "ffmetadata": Form("ffmetadata", _timed(ffmetadata)),
}
"""Each by its `FormName`."""
