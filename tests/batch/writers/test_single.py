# SPDX-License-Identifier: Apache-2.0
"""One text for a run: to a file, whole or not at all, or on as it comes."""

from __future__ import annotations

import pytest
from batch.writers.said import in_windows, of_all

from llava_cli.batch.writers.single import SingleText
from llava_cli.errors import OutputError


def test_each_file_s_captions_come_when_all_of_its_windows_are_done():
    told: list[str] = []
    writer = SingleText("txt", told.append)
    one, two = in_windows("A.", "B.")
    writer.put([(one, True)], ())
    assert told == []
    writer.put([(two, True)], ())
    writer.put([(of_all("C.", "c.mp4"), True)], ())
    assert told == ["A.\nB.\n", "C.\n"]


def test_a_file_is_there_when_all_is(tmp_path):
    path = tmp_path / "x.srt"
    writer = SingleText("srt", path)
    writer.put([(record, True) for record in in_windows("A.", "B.")], ())
    assert not path.exists()
    writer.close()
    assert path.read_text().startswith("1\n00:00:00,000 --> ")
    other = SingleText("srt", path)
    other.discard()
    assert path.read_text().startswith("1\n")
    assert list(tmp_path.iterdir()) == [path]


def test_what_others_have_of_a_video_does_not_keep_back_the_rest():
    told: list[str] = []
    writer = SingleText("srt", told.append)
    writer.put([(in_windows("A.", "B.")[0], True)], ())
    writer.close()
    assert "A." in told[0]


def test_what_has_times_holds_one_video():
    writer = SingleText("vtt", lambda text: None)
    writer.put([(of_all("A."), True)], ())
    with pytest.raises(OutputError, match=r"b\.mp4: is the second video, and vtt holds one; --sidecar vtt"):
        writer.put([(of_all("B.", "b.mp4"), True)], ())
