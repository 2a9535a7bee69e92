# SPDX-License-Identifier: Apache-2.0
"""What stands before a question: with its times, and cut in a stated way."""

from __future__ import annotations

from llava_cli.cues import Cue
from llava_cli.preface import Summary, before

PARTS = tuple(Cue(30.0 * n, 30.0 * n + 30, " ".join(f"word{i}" for i in range(40))) for n in range(8))
SUMMARY = Summary("clip.mp4", PARTS, tuple(range(8)))


def test_texts_stand_before_the_question_with_their_times():
    assert before("Why?", "It says:", (Cue(0, 1.5, "Go."), Cue(61, 62, "Stop."))) == (
        "It says:\n[0:00.000 - 0:01.500] Go.\n[1:01.000 - 1:02.000] Stop.\n\nWhy?"
    )
    assert before("Why?", "It says:", ()) == "Why?"


def test_a_summary_gets_shorter_first_by_words_then_by_parts_and_says_so():
    words, each = [], []
    summary = SUMMARY
    while (shorter := summary.shorter()) is not None:
        summary = shorter
        words.append(max(len(part.text.split()) for part in summary.told))
        each.append(len(summary.told))
    assert words == [20, 10, 10, 10]
    assert each == [8, 8, 4, 2]
    assert summary.note == "the summary is of the first 10 words of each part, and of one part in 4"
    assert summary.told[1].start == 120.0


def test_a_record_says_which_windows_it_is_of():
    assert SUMMARY.entry() == {"path": "clip.mp4", "windows": list(range(8)), "words": None, "each": 1}
