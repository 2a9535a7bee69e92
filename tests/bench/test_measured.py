# SPDX-License-Identifier: Apache-2.0
"""Readers are measured in processes of their own, which may crash or hang without harm to the others."""

from __future__ import annotations

import pytest
from media.rendering import read_mark

from llava_cli.bench import measured
from llava_cli.bench.measured import measure
from llava_cli.bench.peers import READERS, Reader, recipe

OURS, RECIPE = READERS[0], READERS[2]
CRASHES = Reader("no reader of this name", recipe)


def test_each_reader_has_frames_and_figures(rendered):
    told: list[str] = []
    ours, other = measure([OURS, RECIPE], rendered("h264"), 4, 2, told.append)
    for one in (ours, other):
        assert one.error is None
        assert [read_mark(pixels) for pixels in one.frames] == list(one.indices) == [0, 25, 50, 75]
        assert one.wall_s > 0
        assert one.cpu_s > 0
    assert (ours.total, other.total) == (None, 100)
    assert told == [OURS.name, RECIPE.name] * 2  # in turns


def test_a_reader_that_crashes_is_told_and_the_others_are_measured(rendered):
    crashed, other = measure([CRASHES, RECIPE], rendered("h264"), 4, 1)
    assert (crashed.error, crashed.frames, crashed.cpu_s) == ("crashed", None, None)
    assert other.error is None


def test_a_reader_that_fails_says_why(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    (failed,) = measure([RECIPE], tmp_path / "bad.mp4", 4, 1)
    assert failed.error.startswith("InvalidDataError")


def test_a_reader_that_hangs_is_given_up(rendered, monkeypatch):
    monkeypatch.setattr(measured, "PATIENCE_S", 0.05)
    (late,) = measure([OURS], rendered("h264"), 4, 1)
    assert late.error == "takes longer than 0.05 s"


@pytest.mark.parametrize("runs", [1, 3])
def test_medians_are_of_as_many_runs_as_are_asked_for(rendered, runs):
    told: list[str] = []
    measure([RECIPE], rendered("h264"), 2, runs, told.append)
    assert len(told) == runs
