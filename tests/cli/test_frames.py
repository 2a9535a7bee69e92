# SPDX-License-Identifier: Apache-2.0
"""`llava frames`: what a model would be shown, told, drawn and saved, on machines without torch too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from media.rendering import read_mark
from PIL import Image

from llava_cli.media.sheet import TITLE_HEIGHT


def test_the_frames_are_those_that_ask_shows(llava, rendered, tiny):
    options = (rendered("h264"), "-m", tiny, "-n", "4", "--start", "0.4")
    shown = json.loads(llava("frames", *options, "--json").out)
    asked = json.loads(llava("ask", *options, "-p", "Why?", "--json", "--max-new-tokens", "1").out)["media"][0]
    assert {key: shown[key] for key in asked} == asked
    assert shown["schema_version"] == 1


def test_a_line_of_json_for_each_file(llava, rendered, tiny):
    lines = llava("frames", rendered("h264"), rendered("h264"), "-m", tiny, "--json").out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["video", "video"]


def test_the_table_tells_index_and_time(llava, rendered, tiny):
    lines = llava("frames", rendered("h264"), "-m", tiny, "-n", "4").out.splitlines()
    assert "4 frames of 56x56, 16 visual tokens for llava-next-video" in lines[0]
    assert [line.split() for line in lines[1:3]] == [["frame", "time"], ["0", "0:00.000"]]
    assert len(lines) == 6


def test_pictures_hold_the_frames_they_are_named_after(llava, rendered, tiny, tmp_path):
    folder = tmp_path / "new" / "frames"
    result = llava("frames", rendered("h264"), "-m", tiny, "-n", "4", "--dir", folder)
    assert result.code == 0, result.err
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"h264-{place:04}-frame{index:06}.png" for place, index in enumerate((0, 25, 50, 75))]
    for name, index in zip(names, (0, 25, 50, 75), strict=True):
        assert read_mark(np.asarray(Image.open(folder / name))) == index


def test_frames_are_taken_as_the_user_says(llava, rendered, tiny):
    def indices(policy: str) -> list[int]:
        result = llava("frames", rendered("h264"), "-m", tiny, "-n", "7", "--sampling", policy, "--json")
        return [frame["index"] for frame in json.loads(result.out)["frames"]]

    assert indices("uniform") == [0, 14, 28, 42, 57, 71, 85]
    assert indices("linspace") == [0, 16, 33, 49, 66, 82, 99]
    assert indices("linspace-rounded") == [0, 16, 33, 50, 66, 82, 99]
    assert indices("stride") == [0, 14, 28, 42, 56, 70, 84]
    wrong = llava("frames", rendered("h264"), "-m", tiny, "--sampling", "random")
    assert (wrong.code, "must be uniform, linspace, linspace-rounded or stride" in wrong.err) == (2, True)


def test_one_sheet_for_all_media(llava, rendered, tiny, tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    llava("frames", rendered("h264"), "-m", tiny, "-n", "4", "--sheet", one)
    llava("frames", rendered("h264"), rendered("h264"), "-m", tiny, "-n", "4", "--sheet", two)
    single, double = np.asarray(Image.open(one)), np.asarray(Image.open(two))
    height = len(single) + TITLE_HEIGHT
    assert len(double) == 2 * height
    for half in (double[:height], double[height:]):
        assert np.array_equal(half[TITLE_HEIGHT:], single)
        assert half[:TITLE_HEIGHT].max() == 255  # the file's name


def test_a_sheet_in_a_format_that_is_none_is_refused_before_anything_is_read(llava, rendered, tmp_path):
    for command in (["frames", "none.mp4"], ["ask", "none.mp4", "Why?", "-m", "demo"]):
        result = llava(*command, "--sheet", tmp_path / "sheet.gif")
        assert result.code == 2
        assert "sheet.gif: must end in .png, .jpg, .jpeg, .webp" in result.err


def test_ask_saves_the_same_sheet(llava, rendered, tiny, tmp_path):
    options = (rendered("h264"), "-m", tiny, "-n", "4")
    llava("frames", *options, "--sheet", tmp_path / "frames.png")
    asked = llava("ask", *options, "-p", "Why?", "--max-new-tokens", "1", "--sheet", tmp_path / "ask.png")
    assert asked.code == 0
    assert str(tmp_path / "ask.png") in asked.err
    assert (tmp_path / "ask.png").read_bytes() == (tmp_path / "frames.png").read_bytes()


def test_what_cannot_be_written_is_exit_code_6(llava, rendered, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    for option in ("--sheet", "--dir"):
        assert llava("frames", rendered("h264"), "-m", tiny, option, tmp_path / "file" / "x").code == 6


def test_released_checkpoints_need_no_torch_and_no_network(rendered, tmp_path):
    """Run where torch and transformers cannot be imported, and the hub is nowhere."""
    for package in ("torch", "transformers"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('not here')")
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path),
    }  # fmt: skip
    for model, tokens in (("next-video-7b", 144), ("llava-video-7b", 210), ("video-llava-7b", 257)):
        done = subprocess.run(
            [sys.executable, "-m", "llava_cli", "frames", rendered("h264"), "-m", model, "-n", "8", "--json",
             "--sheet", tmp_path / "sheet.png"],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["visual_tokens"] == 8 * tokens


def test_what_a_config_leaves_out_is_known_without_torch_too(rendered, tiny):
    """To transformers alone."""
    assert "max_position_embeddings" not in json.loads((tiny / "config.json").read_text())["text_config"]
    script = "import sys; sys.modules['torch'] = None\nfrom llava_cli.cli.app import main\nmain()"
    command = [sys.executable, "-c", script, "frames", rendered("h264"), "-m", tiny, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["visual_tokens"] == 4 * 32


def test_one_bad_file_does_not_hide_the_others(llava, rendered, tiny, tmp_path):
    """Each has its line in the order in which they were named; the exit code says that some failed, or why all did."""
    good, bad, none = rendered("h264"), tmp_path / "bad.mp4", tmp_path / "none.mp4"
    bad.write_bytes(b"no video" * 99)
    options = ("-m", tiny, "-n", "2")
    result = llava("frames", bad, good, none, *options, "--json", "--sheet", tmp_path / "sheet.png")
    first, second, third = map(json.loads, result.out.splitlines())
    assert result.code == 1
    assert [first["media"][0]["path"], second["path"], third["media"][0]["path"]] == [str(bad), str(good), str(none)]
    assert (first["error"]["code"], len(second["frames"])) == ("input", 2)
    assert (tmp_path / "sheet.png").exists()
    assert result.err.count("bad.mp4") == result.err.count("none.mp4") == 1
    plain = llava("frames", bad, good, *options)
    assert (plain.code, plain.out.count("visual tokens")) == (1, 1)
    lost = llava("frames", bad, none, *options, "--json", "--sheet", tmp_path / "lost.png")
    assert (lost.code, len(lost.out.splitlines()), lost.err.count("\n")) == (3, 2, 2)
    assert not (tmp_path / "lost.png").exists()
    single = llava("frames", none, *options, "--json")
    assert (single.code, json.loads(single.out)["media"], single.err.count("\n")) == (3, [{"path": str(none)}], 1)


def test_a_name_does_nothing_to_whoever_reads_it(llava, rendered, tiny, tmp_path):
    path = tmp_path / "a\x1b]0;title\x07\nb\u202e.mp4"
    shutil.copy(rendered("one_frame"), path)
    result = llava("frames", path, "-m", tiny)
    assert result.code == 0
    first, _, *rows = result.out.splitlines()
    assert "a\\x1b]0;title\\x07\\nb\\u202e.mp4: " in first
    assert ", 1 frame of 56x56, " in first
    assert len(rows) == 1
