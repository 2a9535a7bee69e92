# SPDX-License-Identifier: Apache-2.0
"""The report about frames: who is compared, what is right, and what it says of those that are wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from llava_cli.bench import frames, media
from llava_cli.bench.frames import bench_frames, bench_rendered
from llava_cli.bench.measured import Measured
from llava_cli.bench.peers import READERS, Reader, recipe
from llava_cli.bench.truth import decode_all

OURS, RECIPE = READERS[0], READERS[2]
KEYS = {
    "file", "reader", "cpu_s", "wall_s", "ratio", "wall_ratio", "exact", "right", "identical", "wanted",
    "frames_counted", "frames_in_file", "peak_memory", "error",
}  # fmt: skip


def test_what_is_measured_is_reported(rendered):
    report = bench_frames([rendered("h264")], 4, 1, "llava bench frames", readers=[OURS, RECIPE])
    ours, other = report.rows
    assert set(ours) == set(other) == KEYS
    for row in (ours, other):
        assert (row["exact"], row["right"], row["identical"], row["wanted"]) == (True, 4, 4, 4)
    assert ours["ratio"] == 1
    assert other["ratio"] == pytest.approx(other["cpu_s"] / ours["cpu_s"])
    assert other["frames_counted"] == other["frames_in_file"] == 100
    by_reader, by_file = report.tables
    assert [line[0] for line in by_reader] == ["reader", "llava", "PyAV recipe"]
    assert [line[0] for line in by_file] == ["file", "h264.mp4"]
    assert report.command == "llava bench frames"


@pytest.fixture
def made_up(rendered, monkeypatch):
    """Outcomes in the place of measurements: ours is right, another gives the next frame for its last one."""
    truth = decode_all(rendered("h264"), [0, 50])
    ours = Measured(OURS, None, 0.2, 0.1, 1 << 20, None, [0, 50], np.stack([truth.frames[0], truth.frames[50]]))
    late = np.stack([truth.frames[0], truth.frames[51]])
    others = [
        replace(ours, reader=RECIPE, cpu_s=0.25, total=101, frames=late),
        Measured(Reader("other", recipe), "RuntimeError: cannot."),
    ]
    monkeypatch.setattr(frames, "measure", lambda *_: [ours, *others])
    readers = [OURS, RECIPE, Reader("other", recipe), Reader("absent", recipe, ("no_such_module",))]
    return bench_frames([rendered("h264")], 2, 1, "llava bench frames", readers=readers)


def test_a_reader_that_gives_another_frame_is_not_exact(made_up):
    ours, wrong, _ = made_up.rows
    assert (ours["exact"], ours["right"]) == (True, 2)
    assert (wrong["exact"], wrong["right"], wrong["identical"], wrong["frames_counted"]) == (False, 1, 1, 101)
    by_reader, by_file = made_up.tables
    assert by_file[1] == ["h264.mp4", "100 ms", "2.50x (1 of 2 right)", "fails"]
    assert by_reader[2] == ["PyAV recipe", "-", "-", "-", "-", "0 of 1 files", "1 of 2", "1 MiB"]
    ((_, bars),) = made_up.chart.groups
    assert [(bar.name, bar.good) for bar in bars] == [("llava", True), ("PyAV recipe", False)]
    assert "1 of 2 right" in bars[1].label


def test_a_reader_that_fails_is_no_figure_and_is_told(made_up):
    failed = made_up.rows[2]
    assert (failed["exact"], failed["right"], failed["cpu_s"], failed["ratio"]) == (False, 0, None, None)
    assert made_up.tables[0][3][1:] == ["-", "-", "-", "-", "0 of 1 files", "0 of 2", "-"]
    assert "other on h264.mp4: RuntimeError: cannot." in " ".join(made_up.notes)


def test_what_is_not_installed_is_told(made_up):
    assert "Not installed here: absent." in made_up.notes


def test_without_files_they_are_made_and_what_cannot_be_is_told(tmp_path, monkeypatch):
    rare = replace(media.KINDS[0], name="rare.mp4", codec="no-such-encoder")
    monkeypatch.setattr(media, "KINDS", (media.KINDS[0], rare))
    report = bench_rendered(tmp_path, 72, 0.4, 2, 1, "llava bench frames", readers=[OURS])
    assert [(row["file"], row["exact"]) for row in report.rows] == [("h264-gop30.mp4", True)]
    assert "72 rows, 0.4 seconds" in " ".join(report.notes)
    assert "no-such-encoder" in " ".join(report.notes)


def test_torch_is_not_needed():
    program = "import sys, llava_cli.bench.frames, llava_cli.bench.child; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
