# SPDX-License-Identifier: Apache-2.0
"""`llava bench`: each measurement from end to end, in a small size."""

from __future__ import annotations

import json
import re

import pytest

from llava_cli.bench import everything, media, small

FLOAT32 = ("--dtype", "float32", "--runs", "1")


def test_lists_are_answered_alike_on_every_road(llava, tiny):
    result = llava("bench", "batch", "--clips", "1", "-m", tiny, *FLOAT32, "--max-new-tokens", "8", "-n", "4")
    assert result.code == 0, result.err
    assert result.out.startswith("3 questions about 1 clips")
    assert re.search(r"plain loop +[\d.]+ +[\d.]+ +1\.00x +3 of 3\nllava caption +[\d.]+ .* 3 of 3\n", result.out)


def test_frames_are_compared_and_saved(llava, rendered, tmp_path):
    result = llava("bench", "frames", rendered("h264"), "-n", "3", "--runs", "1", "--json", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    exact = {row["reader"]: row["exact"] for row in rows}
    assert {"llava", "llava, fast pixels", "PyAV recipe", "OpenCV seek", "OpenCV in order"} <= exact.keys()
    assert exact["llava"]
    assert exact["PyAV recipe"]
    for row in rows:
        assert row["machine"]["cores"] > 0
        assert row["command"].startswith("llava bench frames ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["frames.json", "frames.md", "frames.png"]


def test_an_answer_is_measured_stage_by_stage(llava, tiny):
    result = llava(
        "bench", "answer", "-m", tiny, *FLOAT32, "--max-new-tokens", "4", "-n", "2", "--batch-size", "2", "--json"
    )
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["stage"] for row in rows][:4] == ["load", "decode", "encode", "prefill"]
    assert rows[-1]["stage"] == "memory, 2 questions"


def test_a_file_that_is_not_there_is_an_input_error(llava, tmp_path):
    result = llava("bench", "frames", tmp_path / "none.mp4", "--runs", "1")
    assert result.code == 3
    assert "none.mp4" in result.err
    assert result.out == ""


def test_without_a_measurement_help_is_shown(llava):
    result = llava("bench")
    assert result.code == 2
    for name in ("frames", "answer", "batch", "all"):
        assert re.search(rf"^  {name} +Measure", result.out + result.err, re.M)


@pytest.mark.slow
def test_everything_is_measured_and_saved(llava, tmp_path, monkeypatch):
    monkeypatch.setattr(media, "KINDS", (media.KINDS[0],))
    monkeypatch.setattr(small, "_TEXT", {"num_hidden_layers": 2})
    monkeypatch.setattr(small, "_VISION", {})
    size = everything.Size(height=72, seconds=0.4, frames=2, runs=1, clips=1, new_tokens=4, batch=2)
    monkeypatch.setattr(everything, "suitable", lambda: size)
    result = llava("bench", "all", "--out", tmp_path / "out", "--dummy-weights", "next-video-7b")
    assert result.code == 0, result.err
    names = ["frames", "batch", "answer-demo", "answer-large"]
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made >= {f"{name}.{suffix}" for name in names for suffix in ("json", "md", "png")}
    tables = (tmp_path / "out" / "README-tables.md").read_text("utf-8")
    assert [tables.count((tmp_path / "out" / f"{name}.md").read_text("utf-8")) for name in names] == [1] * 4
    assert tables.count(f"`llava bench all --out {tmp_path / 'out'} --dummy-weights next-video-7b`") == 4
    assert [json.loads((tmp_path / "out" / f"{name}.json").read_text("utf-8"))["bench"] for name in names] == names
