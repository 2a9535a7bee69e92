# SPDX-License-Identifier: Apache-2.0
"""WebVTT: what is said of each window as a text track of the kind `descriptions`, one cue a window."""

from __future__ import annotations

from collections.abc import Iterable

from llava_cli.batch.writers.track import Track
from llava_cli.cues import Cue


def descriptions(track: Track) -> str:
    """The captions of a video."""
    return "WEBVTT\nKind: descriptions\n\n" + "".join(f"{block}\n" for block in blocks(track.cues))


def blocks(cues: Iterable[Cue]) -> Iterable[str]:
    """Each cue as a block of WebVTT; cues that say nothing are none."""
    for cue in cues:
        if text := escaped(cue.text):
            yield f"{stamp(cue.start)} --> {stamp(cue.end)}\n{text}\n"


def escaped(text: str) -> str:
    """A text in one line that has no markup and is no timing line, whatever is in it."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def stamp(seconds: float, point: str = ".") -> str:
    """hh:mm:ss.mmm"""
    whole, millis = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{millis:03}"
