# SPDX-License-Identifier: Apache-2.0
"""Breaking lines between words while the text is still being written. For terminals only: a pipe gets the very text."""

from __future__ import annotations

import re
import unicodedata

_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\U0001f300-\U0001faff"
# Where a line may end: after a newline, at white space, and beside the characters of scripts that have no spaces.
_PIECE = re.compile(rf"\n|[ \t]+|[{_WIDE}]|[^\s{_WIDE}]+|\s")


class Wrapper:
    """Puts line breaks in the place of spaces, so that no line is longer than `width` columns.

    Pieces of text go in as they come; what comes out may lag behind by a word. A word longer than a line stays whole.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._space = ""
        self._word = ""

    def feed(self, text: str) -> str:
        """What can be written once this text has come."""
        if not self._width:
            return text
        pieces = _PIECE.findall(self._word + text)
        # The last word may go on in the next piece of text.
        self._word = pieces.pop() if pieces and not pieces[-1].isspace() else ""
        return "".join(map(self._placed, pieces))

    def end(self) -> str:
        """What is left when the text has ended."""
        word, self._word = self._word, ""
        rest = (self._placed(word) if word else "") + self._space
        self._space = ""
        return rest

    def _placed(self, piece: str) -> str:
        if piece == "\n":
            space, self._space, self._column = self._space, "", 0
            return space + piece
        if piece.isspace():
            self._space += piece
            return ""
        space, self._space = self._space, ""
        columns = columns_of(piece)
        if self._column and self._column + len(space) + columns > self._width:
            self._column = columns
            return "\n" + piece
        self._column += len(space) + columns
        return space + piece


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
