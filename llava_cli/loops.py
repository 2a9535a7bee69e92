# SPDX-License-Identifier: Apache-2.0
"""Whether an answer repeats itself: greedy decoding falls into loops that no penalty on repeated words cures."""

from __future__ import annotations

import zlib

_RATIO = 2.4
"""How much smaller than itself a text may become; Whisper found this bound for its own loops."""
_PIECE = 1000
"""Characters that are looked at together: of longer texts, good prose too becomes that much smaller."""
_REPEATED = 30
"""Characters at least that an exact repetition must take up: shorter ones occur in good prose."""
_TIMES = 3


def repeats_itself(text: str) -> bool:
    """Whether a part of a text says the same again and again, or its end is an exact repetition."""
    pieces = (text[begin : begin + _PIECE].encode() for begin in range(0, len(text), _PIECE // 2))
    return _ends_in_a_loop(text.rstrip()) or any(len(piece) > _RATIO * len(zlib.compress(piece)) for piece in pieces)


def _ends_in_a_loop(text: str) -> bool:
    """Whether the last characters are one unit, three times or more; the last time may be cut off."""
    return any(_run(text, period) >= max(_REPEATED, _TIMES * period) for period in range(1, len(text) // _TIMES + 1))


def _run(text: str, period: int) -> int:
    """How many characters at the end repeat with this period."""
    place = len(text) - 1
    while place >= period and text[place] == text[place - period]:
        place -= 1
    return len(text) - 1 - place + period
