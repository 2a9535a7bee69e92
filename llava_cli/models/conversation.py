# SPDX-License-Identifier: Apache-2.0
"""What is put to a model: turns of text, clips and stills."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llava_cli.media.clip import Clip, Media

Part = str | Media
Word = Literal["video", "image"]
"""What marks a medium in a prompt."""

_MARK = re.compile(r"<(video|image)>")


@dataclass(frozen=True)
class Turn:
    """One message of a conversation, its parts in order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    inline: bool = False
    """The user placed the media inside the sentence: they stay exactly there, whatever the chat template prefers."""

    @property
    def media(self) -> tuple[Media, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class Ask:
    """A conversation that ends with the user's question."""

    turns: tuple[Turn, ...]

    @property
    def media(self) -> tuple[Media, ...]:
        """All media of the conversation, in order."""
        return tuple(medium for turn in self.turns for medium in turn.media)


def kind(medium: Media) -> Word:
    """The word that marks a medium in a prompt."""
    return "video" if isinstance(medium, Clip) else "image"


def ask(question: str, media: Sequence[Media], system: str | None = None) -> Ask:
    """A single question about some media.

    Where the question holds as many `<video>` and `<image>` marks as there are media of that kind, they place them;
    otherwise media come first, in order, and such marks are plain text.
    """
    return with_system(Ask((Turn("user", *_place(question.strip(), media)),)), system)


def with_system(asked: Ask, system: str | None) -> Ask:
    """The conversation under a system prompt, in the place of its own."""
    if system is None or not system.strip():
        return asked
    rest = tuple(turn for turn in asked.turns if turn.role != "system")
    return Ask((Turn("system", (system.strip(),)), *rest))


def _place(question: str, media: Sequence[Media]) -> tuple[tuple[Part, ...], bool]:
    """The parts of a user's turn, and whether the user placed the media."""
    marks = _MARK.findall(question)
    if not marks or sorted(marks) != sorted(map(kind, media)):
        return (*media, question), False
    waiting = {word: iter([medium for medium in media if kind(medium) == word]) for word in ("video", "image")}
    parts = [next(waiting[piece]) if i % 2 else piece for i, piece in enumerate(_MARK.split(question))]
    return tuple(part for part in parts if part != ""), True
