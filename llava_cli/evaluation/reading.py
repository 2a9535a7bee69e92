# SPDX-License-Identifier: Apache-2.0
"""Which option a generated answer means."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Alone, or set off by punctuation: "A man walks" is no answer A.
_FIRST = re.compile(r"\W*([A-Z])(?:[^\w\s'\u2019-]|\s*$|\s*\n)")
_NAMED = re.compile(r"\b(?:answer|option|choice)(?:\s+is)?\s*:?\s*\W?([A-Z])\b", re.IGNORECASE)


def letter_meant(text: str, options: Sequence[str]) -> int | None:
    """The place of the option whose letter, or else whose text, an answer gives; None if that is not clear."""
    for pattern in (_FIRST.match, _NAMED.search):
        found = pattern(text.strip())
        if found and (place := ord(found[1].upper()) - ord("A")) < len(options):
            return place
    return text_meant(text, options)


def text_meant(text: str, options: Sequence[str]) -> int | None:
    """The place of the option that an answer is; or which alone stands in it; None if that is not clear."""
    said, plain = _plain(text), [_plain(option) for option in options]
    for fits in (lambda option: option == said, lambda option: re.search(rf"(?<!\w){re.escape(option)}(?!\w)", said)):
        places = [place for place, option in enumerate(plain) if fits(option)]
        if len(places) == 1:
            return places[0]
    return None


def _plain(text: str) -> str:
    """Without what does not matter: capitals, blanks, and the punctuation around it."""
    return re.sub(r"\s+", " ", text).strip(" .!?,;:\"'").casefold()
