# SPDX-License-Identifier: Apache-2.0
"""Text for people: what others wrote made safe to show, and numbers with their nouns.

What records keep is the business of `texts`: there a text stays as it is, and only what is no text is changed.
"""

from __future__ import annotations

import re
import unicodedata

# What a terminal obeys, reorders or does not show: controls (C0, C1, ESC), formats (directions, zero widths, tags),
# halves of surrogate pairs, separators of lines; and letters that are nothing to see.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
# Persian, Indic scripts and emoji are made with these; after ASCII they only make two names look alike.
_JOINERS = "\u200c\u200d"
_STRAY_JOINER = re.compile(f"(?<=[\0-\x7f])[{_JOINERS}]")


class _Shown(dict[int, str]):
    """How each character is shown, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        harmless = character in "\n\t" + _JOINERS
        unseen = unicodedata.category(character) in _UNSEEN or character in _BLANK
        self[code] = _escaped(character) if unseen and not harmless else character
        return self[code]


_SHOWN = _Shown()


def visible(text: str) -> str:
    """A text that can do nothing to a terminal and hides nothing: what would is written as `\\x1b`, `\\u202e` …

    Newlines and tabs stay. A text that went through is not changed by going through again.
    """
    return _STRAY_JOINER.sub(lambda found: _escaped(found[0]), text.translate(_SHOWN))


def one_line(text: str) -> str:
    """The same as a part of a line: a name with a newline in it does not begin another."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def counted(number: float, noun: str) -> str:
    """`1 frame`, `5875 tokens`, `0.5 seconds`."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    escaped = character.encode("ascii", "backslashreplace").decode("ascii")
    return escaped if len(escaped) > 1 else f"\\x{ord(character):02x}"
