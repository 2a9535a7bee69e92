# SPDX-License-Identifier: Apache-2.0
"""What stands before a question besides media: the subtitles of what is shown, or what was said of a video's parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llava_cli.cues import Cue
from llava_cli.texts import path_entry
from llava_cli.words import counted

SUBTITLES = "These are the subtitles of what is shown:"
PARTS = "These are descriptions of the parts of a video, with their times:"
SUM_UP = "Sum up the whole video in a few sentences."
TITLE = "Give what is shown a title of at most six words. Answer with the title only."
"""The second question about each window, where chapters are wanted."""
_FEWEST_WORDS = 6


@dataclass(frozen=True)
class Summary:
    """What was said of the windows of one video, for a question about all of it."""

    path: str
    parts: tuple[Cue, ...]
    ids: tuple[str | int, ...]
    """Of the records that they come from."""
    words: int | None = None
    """So many words of each part are told, at most: what else they say has no room in the context."""
    each: int = 1
    """Only one part in so many is told."""

    def shorter(self) -> Summary | None:
        """With half as many words of each part, or else half as many parts; None where that is not possible."""
        words = min(self.words or 10**6, max(len(part.text.split()) for part in self.parts)) // 2
        if words >= _FEWEST_WORDS:
            return replace(self, words=words)
        return replace(self, each=2 * self.each) if 2 * self.each < len(self.parts) else None

    @property
    def note(self) -> str:
        """What was left out to fit the context."""
        words = f"{counted(self.words or 0, 'word')} of each part"
        return f"the summary is of the first {words}{'' if self.each == 1 else f', and of one part in {self.each}'}"

    @property
    def told(self) -> tuple[Cue, ...]:
        """The parts as they are put to the model."""
        return tuple(replace(part, text=" ".join(part.text.split()[: self.words])) for part in self.parts[:: self.each])

    def entry(self) -> dict[str, Any]:
        """What a record says of it."""
        return {**path_entry(self.path), "windows": list(self.ids), "words": self.words, "each": self.each}


def before(question: str, heading: str, cues: Sequence[Cue]) -> str:
    """A question behind texts with their times."""
    return "\n".join([heading, *(cue.line for cue in cues), "", question]) if cues else question
