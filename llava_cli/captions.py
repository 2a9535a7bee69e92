# SPDX-License-Identifier: Apache-2.0
"""From an answer to a caption: without the words that answers begin with, and no longer than is wanted.

A caption ends where a sentence does. What was done to it is told, so that a record can say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llava_cli.errors import UsageError

_END = re.compile(
    r"""[.!?\u2026]+["'\u201d\u2019)\]]*(?=\s|$)    # in scripts with spaces
    |[\u3002\uff01\uff1f]+["'\u201d\u2019\uff09\u300d]*  # in Chinese and Japanese
    |\n+""",
    re.VERBOSE,
)
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|No|vs|etc|e\.g|i\.e|approx)\.$")
_OPENING = re.compile(
    r"""^\W*(?:in\s+)?(?:the|this)\s+(?:short\s+)?(?:video|clip|image|picture|scene|footage|frame|photo)(?:\s+clip)?
    (?:\s+(?:clearly|mainly|primarily))?
    (?:\s*,\s*|\s+(?:shows?|depicts?|features?|displays?|captures?|presents?|portrays?|showcases?|contains?
    |begins?\s+with|opens?\s+with|starts?\s+with|is\s+of|is\s+about)\s+)
    (?:that\s+|(?:we|you)\s+(?:can\s+)?see\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Caption:
    """A text that was made of an answer."""

    text: str
    changes: tuple[str, ...] = ()
    """What was done, of: clean (an opening dropped), sentences and words (sentences left out at the end), mid_sentence
    (cut inside of its only sentence)."""

    def entry(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"text": self.text, "changes": list(self.changes)}


@dataclass(frozen=True)
class Wording:
    """How captions are made of answers.

    Raises:
        UsageError: a number makes no sense.
    """

    prefix: str = ""
    suffix: str = ""
    max_words: int | None = None
    max_sentences: int | None = None
    clean: bool = False

    def __post_init__(self) -> None:
        if min(self.max_words or 1, self.max_sentences or 1) < 1:
            raise UsageError("a caption has at least one word and one sentence")

    @property
    def changes_nothing(self) -> bool:
        """Whether captions are the answers as they are, but for what stands around them."""
        return not (self.clean or self.max_words or self.max_sentences)

    def of(self, answer: str) -> Caption:
        """The caption without what stands around it."""
        if self.changes_nothing:
            return Caption(answer)
        text, changes = answer.strip(), list[str]()
        if self.clean and (cleaned := without_opening(text)) != text:
            text, changes = cleaned, ["clean"]
        parts = sentences(text)
        if self.max_sentences is not None and len(parts) > self.max_sentences:
            parts = parts[: self.max_sentences]
            changes.append("sentences")
        if self.max_words is not None and _words(parts) > self.max_words:
            parts = _fewer(parts, self.max_words)
            changes.append("words" if _words(parts) <= self.max_words else "mid_sentence")
            if changes[-1] == "mid_sentence":
                parts = [" ".join(parts[0].split()[: self.max_words]).rstrip(" ,;:-")]
        return Caption(" ".join(parts) if changes else text, tuple(changes))

    def around(self, text: str) -> str:
        """A caption between its prefix and its suffix."""
        return f"{self.prefix}{text}{self.suffix}"


PLAIN = Wording()


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; lines end them too."""
    found, begin = list[str](), 0
    for end in _END.finditer(text):
        sentence = text[begin : end.end()].strip()
        if _ABBREVIATION.search(sentence):
            continue
        found.append(sentence)
        begin = end.end()
    return [sentence for sentence in (*found, text[begin:].strip()) if sentence]


def without_opening(text: str) -> str:
    """A text without "The video shows" and the like, if anything is left then."""
    rest = _OPENING.sub("", text, count=1)
    return rest[:1].upper() + rest[1:] if rest.strip(" .") and rest != text else text


def _fewer(parts: list[str], words: int) -> list[str]:
    """As many sentences as have so many words together; at least one."""
    kept = len(parts)
    while kept > 1 and _words(parts[:kept]) > words:
        kept -= 1
    return parts[:kept]


def _words(parts: list[str]) -> int:
    return sum(len(part.split()) for part in parts)
