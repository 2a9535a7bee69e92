# SPDX-License-Identifier: Apache-2.0
"""Chapters: the rules of video sites, read back by a parser of WebVTT and by FFmpeg itself."""

from __future__ import annotations

import io

import av
import pytest
import webvtt
from batch.writers.said import in_windows, said

from llava_cli.batch.writers.chapters import chapters_of, ffmetadata, title_of, web_chapters
from llava_cli.batch.writers.track import track_of


def titled(*titles: str, length: float = 30.0):
    windows = in_windows(*("A caption that is no title." for _ in titles), length=length)
    return track_of([*windows, *in_windows(*titles, length=length, title=True, question="t")])


def bounds(track) -> list[tuple[str, float, float]]:
    return [(one.text, one.start, one.end) for one in chapters_of(track)]


def test_each_window_is_a_chapter_under_its_title():
    assert bounds(titled("Arrival", '"The meal."')) == [("Arrival", 0, 30), ("The meal", 30, 60)]


def test_without_titles_captions_begin_them():
    assert bounds(track_of(in_windows("A man walks. He sits.", None, "He eats.", length=20))) == [
        ("A man walks", 0, 40), ("He eats", 40, 60),
    ]  # fmt: skip


def test_none_is_shorter_than_ten_seconds_and_the_same_title_is_one_chapter():
    assert bounds(titled("A", "B", "C", "D", "E", length=4)) == [("A", 0, 20)]
    assert bounds(titled("A", "B", "C", "D", "E", "F", length=4)) == [("A", 0, 12), ("D", 12, 24)]
    assert bounds(titled("A", "A", "B", "B")) == [("A", 0, 60), ("B", 60, 120)]


def test_the_first_begins_at_0_whatever_part_was_asked_about():
    assert bounds(track_of([said("Late.", start=100.0, end=160.0)])) == [("Late", 0, 160)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('**"A day at sea."**', "A day at sea"),
        ("Boats. And more.", "Boats"),
        ("word " * 30, "word " * 11 + "word\N{HORIZONTAL ELLIPSIS}"),
        ("\n", "Chapter"),
    ],
)
def test_titles_are_short_and_bare(text, title):
    assert title_of(text) == title


def test_webvtt_is_read_back():
    chapters = list(webvtt.from_buffer(io.StringIO(web_chapters(titled("A & B", "C --> D")))))
    assert [(one.start, one.end, one.raw_text) for one in chapters] == [
        ("00:00:00.000", "00:00:30.000", "A &amp; B"), ("00:00:30.000", "00:01:00.000", "C --&gt; D"),
    ]  # fmt: skip


def test_ffmpeg_reads_the_other_form(tmp_path):
    path = tmp_path / "x.ffmetadata"
    path.write_text(ffmetadata(titled("A=1; \\ #B\\", "The meal", length=61.5)))
    with av.open(str(path), format="ffmetadata") as container:
        found = [(one["metadata"]["title"], one["start"], one["end"]) for one in container.chapters()]
    assert found == [("A=1; \\ #B", 0, 61500), ("The meal", 61500, 123000)]
