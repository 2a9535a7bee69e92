# SPDX-License-Identifier: Apache-2.0
"""Wrapping while the text comes: the same words, no line too long, however the text is cut into pieces."""

from __future__ import annotations

import re

import pytest

from llava_cli.wrap import Wrapper, columns_of

TEXT = (
    "A red circle moves to the right, and then it stops.  Two spaces.\n\n- a list\n- of **Markdown**, as it is\n"
    "    indented code stays\nhttps://example.org/a-very-long-name/that/no/line/can/hold/at/all end"
)
CHINESE = "视频中一个红色的圆圈向右移动然后停下来。Two shapes 形状。"


def wrapped(text: str, width: int, size: int) -> str:
    wrapper = Wrapper(width)
    pieces = [wrapper.feed(text[i : i + size]) for i in range(0, len(text), size)]
    return "".join(pieces) + wrapper.end()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("width", [10, 24, 80])
def test_lines_fit_and_the_words_stay(width, size):
    shown = wrapped(TEXT, width, size)
    assert re.sub(r"\s+", " ", shown) == re.sub(r"\s+", " ", TEXT)
    for line in shown.split("\n"):
        assert columns_of(line) <= width or len(line.split()) == 1
    assert shown == wrapped(TEXT, width, 1000)


def test_the_author_s_own_lines_stay():
    assert wrapped(TEXT, 80, 5).split("\n")[1:5] == TEXT.split("\n")[1:5]
    assert wrapped("one two\n", 80, 2) == "one two\n"


def test_without_a_width_nothing_changes():
    assert wrapped(TEXT, 0, 4) == TEXT


def test_scripts_without_spaces_break_anywhere():
    shown = wrapped(CHINESE, 20, 2)
    assert shown.replace("\n", "").replace(" ", "") == CHINESE.replace(" ", "")
    assert max(map(columns_of, shown.split("\n"))) <= 20
    assert min(map(columns_of, shown.split("\n")[:-1])) >= 16


def test_a_word_comes_as_soon_as_it_is_known_to_be_whole():
    wrapper = Wrapper(40)
    assert wrapper.feed("Hel") == ""
    assert wrapper.feed("lo ") == "Hello"
    assert wrapper.feed("you") == ""
    assert wrapper.end() == " you"
