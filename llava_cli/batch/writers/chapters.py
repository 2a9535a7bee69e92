# SPDX-License-Identifier: Apache-2.0
"""Chapters, as players and video sites take them: the first at 0:00, at least 10 seconds each, with short titles."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import replace

from llava_cli.batch.writers.track import Track
from llava_cli.batch.writers.vtt import blocks
from llava_cli.captions import sentences
from llava_cli.cues import Cue

SHORTEST_S = 10.0
LONGEST_TITLE = 60
"""Characters."""
_QUOTES = "\"'`*#\u201c\u201d\u2018\u2019 "


def web_chapters(track: Track) -> str:
    """A text track of the kind `chapters`, in WebVTT."""
    return "WEBVTT\nKind: chapters\n\n" + "".join(f"{block}\n" for block in blocks(chapters_of(track)))


def ffmetadata(track: Track) -> str:
    """What `ffmpeg -i clip.mp4 -i clip.ffmetadata -map_chapters 1 -c copy` makes chapters of a file of."""
    parts = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={round(one.start * 1000)}\nEND={round(one.end * 1000)}\n"
        f"title={_escaped(one.text)}\n"
        for one in chapters_of(track)
    ]
    return "\n".join([";FFMETADATA1\n", *parts])


def chapters_of(track: Track) -> list[Cue]:
    """Windows with their titles, or with how their captions begin where they have none."""
    titled = {cue.start: cue.text for cue in track.titles}
    named = [replace(cue, text=title_of(titled.get(cue.start, cue.text))) for cue in track.cues]
    found: list[Cue] = []
    for cue in named or [replace(cue, text=title_of(cue.text)) for cue in track.titles]:
        if found and (cue.text == found[-1].text or cue.start - found[-1].start < SHORTEST_S):
            found[-1] = replace(found[-1], end=max(found[-1].end, cue.end))
        else:
            found.append(cue if found else replace(cue, start=0.0))
    if len(found) > 1 and found[-1].end - found[-1].start < SHORTEST_S:
        last = found.pop()
        found[-1] = replace(found[-1], end=last.end)
    return list(_in_a_row(found))


def title_of(text: str) -> str:
    """A title in one line: a text's first sentence without quotes and its full stop, cut at a word."""
    first = next(iter(sentences(text)), "").strip(_QUOTES).removesuffix(".").strip(_QUOTES)
    return textwrap.shorten(first, LONGEST_TITLE, placeholder="\N{HORIZONTAL ELLIPSIS}") or "Chapter"


def _escaped(text: str) -> str:
    # FFmpeg takes one at the end of a line for a continuation, escaped or not.
    return re.sub(r"([=;#\\])", r"\\\1", text.rstrip("\\"))


def _in_a_row(chapters: list[Cue]) -> Iterable[Cue]:
    """Each up to the next: windows that failed leave no gap, and those that overlap none too much."""
    for place, one in enumerate(chapters):
        yield replace(one, end=chapters[place + 1].start) if place + 1 < len(chapters) else one
