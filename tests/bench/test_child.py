# SPDX-License-Identifier: Apache-2.0
"""The measuring process: outcomes a line each, whatever libraries print; the first has frames and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from media.rendering import read_mark

from llava_cli.bench.measured import PROGRAM


def outcomes(reader: str, path, save, times: int) -> list[dict]:
    request = {"reader": reader, "file": {"path": str(path), "frames": 4}, "save": str(save)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *sys.path], input=json.dumps(request) + "\n" * (times + 1),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_first_reading_gives_frames_and_memory_the_others_time(rendered, tmp_path):
    first, *timed = outcomes("PyAV recipe", rendered("h264"), tmp_path / "frames.npy", 2)
    assert (first["indices"], first["total"]) == ([0, 25, 50, 75], 100)
    assert first["memory"] is None or 0 < first["memory"] < 1 << 30
    assert [read_mark(pixels) for pixels in np.load(tmp_path / "frames.npy")] == [0, 25, 50, 75]
    assert [sorted(one) for one in timed] == [["cpu_s", "wall_s"]] * 2
    assert all(0 < value < 60 for one in timed for value in one.values())


def test_a_reader_s_error_is_an_outcome(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    (first,) = outcomes("PyAV recipe", tmp_path / "bad.mp4", tmp_path / "frames.npy", 0)
    assert first["error"].startswith("InvalidDataError: ")


def test_processor_time_is_the_reader_s_children_s_too(rendered, tmp_path, monkeypatch):
    busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
    (tmp_path / "ffmpeg").write_text(
        f"#!/bin/sh\n{busy}\ncase \"$*\" in *' null '*) echo 'x, 25 fps, ' >&2; echo 'frame= 4' >&2;;\n"
        "*) printf 'P6\\n1 1\\n255\\n\\001\\002\\003';; esac\n"
    )
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    first, timed = outcomes("ffmpeg select", rendered("h264"), tmp_path / "frames.npy", 1)
    assert first["total"] == 4
    assert timed["cpu_s"] > 0.02


def test_what_libraries_print_does_not_get_between_the_outcomes(rendered, tmp_path, monkeypatch):
    (tmp_path / "decord.py").write_text(
        "import os\n"
        "import numpy\n"
        "class VideoReader:\n"
        "    def __init__(self, path): print('a line'); os.write(1, b'another')\n"
        "    def __len__(self): return 4\n"
        "    def get_batch(self, indices): return self\n"
        "    def asnumpy(self): return numpy.zeros((4, 8, 8, 3), numpy.uint8)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    first, timed = outcomes("decord", rendered("h264"), tmp_path / "frames.npy", 1)
    assert first["indices"] == [0, 1, 2, 3]
    assert "cpu_s" in timed
