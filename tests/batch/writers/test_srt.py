# SPDX-License-Identifier: Apache-2.0
"""SRT: the rules of reading speed and length for any text in any window, and what an independent parser reads of it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
import webvtt
from batch.writers.said import in_windows, said

from llava_cli.batch.writers.srt import split, subtitles
from llava_cli.batch.writers.track import track_of
from llava_cli.cues import Cue

LONG = (
    "A woman in a long green coat walks along the river, looks at the boats for a while and then turns around. "
    "She waves. Someone on the other side waves back, and a dog that has been lying in the sun gets up and barks."
)


def parsed(text: str, tmp_path) -> list:
    (tmp_path / "x.srt").write_text(text)
    return list(webvtt.from_srt(str(tmp_path / "x.srt")))


def test_short_captions_are_one_cue_a_window(tmp_path):
    cues = parsed(subtitles(track_of(in_windows("A man walks.", "He sits.", length=5))), tmp_path)
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        ("00:00:00.000", "00:00:05.000", "A man walks."),
        ("00:00:05.000", "00:00:10.000", "He sits."),
    ]


def test_long_ones_are_split_at_sentences_inside_of_the_window(tmp_path):
    cues = parsed(subtitles(track_of(in_windows("Short.", LONG, length=30))), tmp_path)
    texts = [cue.text.replace("\n", " ") for cue in cues]
    assert " ".join(texts) == f"Short. {LONG}"
    assert "She waves." in texts
    assert cues[1].start == "00:00:30.000"
    assert all(cue.end_in_seconds - cue.start_in_seconds <= 7 for cue in cues)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_said_can_be_read(seed):
    random = Random(seed)
    words = ["a", "river", "unbelievably", "https://example.org/" + "x" * 90, "--> b", "Dr.", "end.", "well,", "ja"]
    text = " ".join(random.choice(words) for _ in range(random.randrange(1, 120)))
    window = Cue(3.0, 3.0 + random.choice([0.5, 2.0, 10.0, 30.0, 120.0]), text)
    cues = split(window)
    for cue in cues:
        lines = cue.text.split("\n")
        assert 1 <= len(lines) <= 2
        assert max(map(len, lines)) <= 42
        assert "-->" not in cue.text
        assert cue.end - cue.start <= 7 + 1e-9
        assert len(" ".join(lines)) / (cue.end - cue.start) <= 17 + 1e-6
    assert all(here.end <= there.start + 1e-9 for here, there in pairwise(cues))
    assert all(window.start <= cue.start and cue.end <= window.end + 1e-9 for cue in cues)
    assert cues or window.end - window.start < 1


def test_windows_that_overlap_give_cues_that_do_not(tmp_path):
    records = [said("One.", 1, 2, 0.0, 12.0), said("Two.", 2, 2, 10.0, 20.0)]
    cues = parsed(subtitles(track_of(records)), tmp_path)
    assert cues[0].end_in_seconds <= cues[1].start_in_seconds


def test_what_cannot_be_read_in_time_is_left_out_from_the_end():
    (cue,) = split(Cue(0.0, 1.0, LONG))
    assert LONG.startswith(cue.text.removesuffix("\N{HORIZONTAL ELLIPSIS}").replace("\n", " "))
    assert [cue.text for cue in split(Cue(0.0, 2.0, "She waves. " + LONG))] == ["She waves."]
