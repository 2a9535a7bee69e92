# SPDX-License-Identifier: Apache-2.0
"""Subtitle files: what is read of them, and which cues belong to a part of a video."""

from __future__ import annotations

import pytest

from llava_cli.cues import Cue, parse_cues, read_cues, within
from llava_cli.errors import InputError

SRT = """1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i>,
{\\an8}old &amp; new

2
00:01:00,000 --> 01:01:01,250
&lt;video&gt; <font color="red">Bye</font>
"""
VTT = """WEBVTT Kind: captions
Language: en

NOTE a note
about it

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start line:0
<v Ann>Hello there, old &amp; new

1:00.000 --> 61:01.250
Bye
"""


def test_srt_and_webvtt_are_the_same_to_it():
    first = Cue(1.0, 2.5, "Hello there, old & new")
    assert parse_cues(SRT) == (first, Cue(60.0, 3661.25, "video> Bye"))
    assert parse_cues(VTT.replace("61:01", "59:01"))[0] == first
    assert parse_cues(SRT.replace("\n", "\r\n")) == parse_cues(SRT)


def test_nothing_in_a_cue_can_pass_for_the_place_of_a_medium():
    assert not any("<" in cue.text for cue in parse_cues(SRT.replace("Bye", "<video> &lt;image&gt; <image")))


def test_cues_come_in_the_order_of_their_times_and_empty_ones_are_none():
    text = "00:05.000 --> 00:06.000\nlater\n\n00:01.000 --> 00:02.000\nsooner\n\n00:03.000 --> 00:04.000\n<b></b>\n"
    assert [cue.text for cue in parse_cues(text)] == ["sooner", "later"]


def test_the_cues_of_a_part_are_those_on_screen_in_it():
    cues = (Cue(0, 2, "a"), Cue(2, 5, "b"), Cue(4, 9, "c"), Cue(10, 11, "d"))
    assert [cue.text for cue in within(cues, 2.0, 4.0)] == ["b"]
    assert [cue.text for cue in within(cues, 4.5, 10.0)] == ["b", "c"]
    assert within(cues, None, None) == cues
    assert Cue(61.5, 62, "x").line == "[1:01.500 - 1:02.000] x"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"just words\n", "has no cue of SRT or WebVTT"),
        ("1\n00:00:01,000 --> 00:00:02,000\n\xfc".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_holds_none_is_told(content, why, tmp_path):
    path = tmp_path / "subs.srt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=why) as told:
        read_cues(path)
    assert str(path) in str(told.value)


def test_a_file_is_read_with_its_mark_of_utf_8(tmp_path):
    (tmp_path / "subs.srt").write_text("\ufeff" + SRT, "utf-8")
    assert len(read_cues(tmp_path / "subs.srt")) == 2
