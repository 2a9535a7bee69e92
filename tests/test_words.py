# SPDX-License-Identifier: Apache-2.0
"""What others wrote can do nothing to a terminal, hides nothing, and stays readable."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from llava_cli.words import counted, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),  # writes the clipboard
        ("\x1b]8;;https://evil.example\x1b\\clip.mp4", "\\x1b]8;;https://evil.example\\x1b\\clip.mp4"),  # a link
        ("a\rb\x7f\x9b31m", "a\\x0db\\x7f\\x9b31m"),
        ("gpj.\u202e4pm\u2066x\u2069", "gpj.\\u202e4pm\\u2066x\\u2069"),  # runs from right to left
        ("a\u200bb\u2060c\ufeffd\u00ade", "a\\u200bb\\u2060c\\ufeffd\\xade"),  # nothing to see between
        ("a\u200db", "a\\u200db"),
        ("\ud83d", "\\ud83d"),
        ("a\udcff", "a\\udcff"),
        ("\U000e0041\u3164", "\\U000e0041\\u3164"),
        ("a\u2028b", "a\\u2028b"),
        ("[/x] [red]", "[/x] [red]"),
    ],
)
def test_what_would_do_something_is_written_out(text, shown):
    assert visible(text) == one_line(text) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize(
    "text", ["naïve 猫\u3000, \u00a0", "👨\u200d👩\u200d👧 ❤\ufe0f", "\u0646\u0645\u06cc\u200c\u062e", "क्\u200dष"]
)
def test_what_people_write_stays(text):
    assert visible(text) == text


def test_no_character_at_all_is_left_that_does_something():
    everything = visible("".join(map(chr, range(sys.maxunicode + 1))))
    left = {unicodedata.category(c) for c in everything if c not in "\n\t\u200c\u200d"}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def test_a_text_may_have_lines_a_part_of_one_may_not():
    assert visible("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb") == "a\\n\\tb"


def test_numbers_with_their_nouns():
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [counted(n, "second") for n in (0.5, 1.0, 600.0)] == ["0.5 seconds", "1 second", "600 seconds"]
