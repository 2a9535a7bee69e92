# SPDX-License-Identifier: Apache-2.0
"""WebVTT, read back by a parser that nobody here wrote."""

from __future__ import annotations

import io

import pytest
import webvtt
from batch.writers.said import in_windows

from llava_cli.batch.writers.track import track_of
from llava_cli.batch.writers.vtt import descriptions, stamp

HOSTILE = [
    "plain",
    "a & b <i>c</i> --> d",
    "00:00:01.000 --> 00:00:02.000",
    "two\n\nparagraphs\nand a line",
    "NOTE x",
    "WEBVTT",
    "\u4ed6\u6765\u4e86\u3002",
    "&amp; &lt;",
]


def test_one_cue_a_window_with_its_times_and_its_very_words():
    text = descriptions(track_of(in_windows(*HOSTILE, length=2000.5)))
    assert text.startswith("WEBVTT\nKind: descriptions\n\n")
    captions = list(webvtt.from_buffer(io.StringIO(text)))
    assert [caption.start_in_seconds for caption in captions] == pytest.approx(
        [2000.5 * n for n in range(len(HOSTILE))], abs=0.6
    )
    assert captions[1].start == "00:33:20.500"
    assert captions[-1].end == stamp(2000.5 * len(HOSTILE))
    shown = [caption.raw_text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for caption in captions]
    assert shown == [" ".join(words.split()) for words in HOSTILE]
    assert text.count("-->") == len(HOSTILE)


def test_what_says_nothing_is_no_cue():
    assert "-->" not in descriptions(track_of(in_windows(" \n", None)))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (360_000.5, "100:00:00.500")]
)
def test_stamps(seconds, shown):
    assert stamp(seconds) == shown
