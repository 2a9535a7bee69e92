# SPDX-License-Identifier: Apache-2.0
"""Cues: texts that hold for a part of a video. Read from subtitle files, SRT or WebVTT."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llava_cli.errors import InputError
from llava_cli.media.sampling import clock

LONGEST = 16 << 20
"""Bytes of a subtitle file."""
_TIME = r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)[.,](\d{3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_TAG = re.compile(r"<[^>\n]*>|\{\\[^}\n]*\}")
"""Of WebVTT and SRT, and what players of SRT take over from other formats."""


@dataclass(frozen=True)
class Cue:
    """A text, and when it holds."""

    start: float
    """Seconds from the start of the video."""
    end: float
    text: str

    @property
    def line(self) -> str:
        """The text behind its times, as it is put to a model."""
        return f"[{clock(self.start)} - {clock(self.end)}] {self.text}"


def read_cues(path: Path) -> tuple[Cue, ...]:
    """The cues of a subtitle file in the order of their times, without markup, each in one line.

    Raises:
        InputError: it cannot be read, or has none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > LONGEST:
        raise InputError(f"{path}: is longer than {LONGEST >> 20} MiB; no subtitles are")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; iconv makes it that") from error
    cues = parse_cues(text)
    if not cues:
        raise InputError(f"{path}: has no cue of SRT or WebVTT")
    return cues


def parse_cues(text: str) -> tuple[Cue, ...]:
    """The cues of a text in SRT or WebVTT; blocks that are none (numbers, notes, styles) are passed over."""
    found = []
    for block in re.split(r"\n[ \t]*\n+", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        timing = next((number for number, line in enumerate(lines[:2]) if _TIMING.fullmatch(line)), None)
        if timing is None:
            continue
        match = _TIMING.fullmatch(lines[timing])
        said = _plain(" ".join(lines[timing + 1 :]))
        if match and said:
            start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
            found.append(Cue(start, max(start, end), said))
    return tuple(sorted(found, key=lambda cue: (cue.start, cue.end)))


def within(cues: Iterable[Cue], start: float | None, end: float | None) -> tuple[Cue, ...]:
    """Those that are on screen at some time from `start` on and before `end`."""
    return tuple(cue for cue in cues if (end is None or cue.start < end) and (start is None or cue.end > start))


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).replace("<", " ").split())


def _seconds(hours: str | None, minutes: str, seconds: str, millis: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(millis) / 1000
