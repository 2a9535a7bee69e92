# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked, read_mark
from PIL import Image

from llava_cli.errors import OutputError
from llava_cli.media import Clip, MediaInfo, Still, contact_sheet
from llava_cli.media.sheet import GAP, LABEL_HEIGHT, draw_sheet


def clip(frames: int, width: int, height: int) -> Clip:
    info = MediaInfo("x.mp4", "video", width, height, "h264", "pyav", duration=8.0)
    pixels = np.stack([marked(10 * i, width, height) for i in range(frames)])
    return Clip(pixels, tuple(10 * i for i in range(frames)), tuple(0.4 * i for i in range(frames)), info)


def test_every_frame_is_in_its_place() -> None:
    sheet = np.asarray(draw_sheet(clip(7, 320, 180), columns=3))
    step_x, step_y = 320 + GAP, 180 + LABEL_HEIGHT + GAP
    assert sheet.shape == (3 * step_y + GAP, 3 * step_x + GAP, 3)
    for place in range(7):
        x, y = GAP + place % 3 * step_x, GAP + place // 3 * step_y
        assert np.array_equal(sheet[y : y + 180, x : x + 320], marked(10 * place, 320, 180))
        label = sheet[y + 180 : y + 180 + LABEL_HEIGHT, x : x + 320]
        assert label.min() == 0
        assert label.max() == 255


def test_small_frames_are_enlarged_until_the_label_fits() -> None:
    sheet = np.asarray(draw_sheet(clip(2, 64, 64), columns=4))
    assert sheet.shape[1] == 2 * (192 + GAP) + GAP
    assert read_mark(sheet[GAP : GAP + 192, GAP + 192 + GAP :][:, :192]) == 10


def test_large_frames_are_reduced() -> None:
    sheet = np.asarray(draw_sheet(clip(2, 1280, 720)))
    assert sheet.shape[1] == 2 * (640 + GAP) + GAP
    assert read_mark(sheet[GAP : GAP + 360, GAP + 640 + GAP :][:, :640]) == 10


def test_a_still_and_the_file(tmp_path: Path) -> None:
    still = Still(marked(3, 200, 100), MediaInfo("x.png", "image", 200, 100, "png", "pillow"))
    contact_sheet(still, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.format == "PNG"
        assert read_mark(np.asarray(image)[GAP : GAP + 100, GAP : GAP + 200]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sheet.png").write_text("old")

    def explode(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", explode)
    with pytest.raises(OutputError, match=r"sheet\.png: cannot be written: the disk is full"):
        contact_sheet(clip(1, 64, 64), tmp_path / "sheet.png")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("sheet.png", "old")]
