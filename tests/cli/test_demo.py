# SPDX-License-Identifier: Apache-2.0
"""`llava demo`: true answers about a clip drawn on the spot, and an exit code that tells when they are not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from llava_cli.engine.local import LocalEngine

# Read at once: a command that a test runs sees no LLAVA_* variable.
REAL_MEDIA = os.environ.get("LLAVA_TEST_MEDIA")


def test_every_answer_is_right(llava, tmp_path):
    result = llava("demo", "--output-dir", tmp_path)
    assert result.code == 0, result.out + result.err
    assert result.out.count("(right)") >= 9
    assert "WRONG" not in result.out
    for name in ("clip-sheet.png", "still-sheet.png"):
        assert str(tmp_path / name) in result.out
        with Image.open(tmp_path / name) as sheet:
            assert sheet.width > 100


def test_a_wrong_answer_is_exit_code_1(llava, tmp_path, monkeypatch):
    """Frames in the wrong order are enough to be found out."""
    import dataclasses

    encode = LocalEngine._embed

    def backwards(self, prompts, *others):
        reversed_media = [
            dataclasses.replace(
                prompt,
                media=tuple(
                    dataclasses.replace(m, frames=m.frames[::-1].copy()) if m.info.kind == "video" else m
                    for m in prompt.media
                ),
            )
            for prompt in prompts
        ]
        return encode(self, reversed_media, *others)

    monkeypatch.setattr(LocalEngine, "_embed", backwards)
    result = llava("demo", "--output-dir", tmp_path)
    assert result.code == 1
    assert "WRONG" in result.out
    assert "wrong answers" in result.err


def test_the_kept_clip_can_be_asked_about(llava, tmp_path):
    llava("demo", "--output-dir", tmp_path)
    result = llava("ask", tmp_path / "clip.mp4", "which way does the circle move?", "--model", "demo", "--json")
    record = json.loads(result.out)
    assert record["answer"] == "The circle moves to the right."
    assert len(record["media"][0]["frames"]) == 8


def test_a_folder_that_cannot_be_made(llava, tmp_path):
    (tmp_path / "file").write_text("")
    result = llava("demo", "--output-dir", tmp_path / "file" / "demo")
    assert result.code == 6


@pytest.mark.skipif(REAL_MEDIA is None, reason="LLAVA_TEST_MEDIA is not set")
def test_real_footage_is_not_made_into_shapes(llava):
    for path in sorted(Path(REAL_MEDIA, "real").glob("*.mp4")):
        result = llava("ask", path, "Why is this video funny?", "--model", "demo")
        assert result.out == "I only know simple moving shapes. I see no simple shapes that I know.\n"


def test_a_home_that_takes_no_folder_is_told_with_what_to_do(llava, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    result = llava("demo")
    assert (result.code, result.out) == (6, "")
    assert "--output-dir DIR has it made elsewhere" in result.err


def test_a_folder_that_takes_no_clip_is_told_before_the_work(llava, monkeypatch, tmp_path):
    (tmp_path / "llava" / "demo" / "clip.mp4").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = llava("demo")
    assert (result.code, result.out) == (6, "")
    assert "clip.mp4: cannot be written: is a folder; --output-dir DIR has it made elsewhere" in result.err
