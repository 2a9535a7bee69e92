# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked, read_mark
from PIL import Image

from llava_cli.errors import OutputError, UsageError
from llava_cli.media import Clip, MediaInfo, Still, contact_sheet
from llava_cli.media.sheet import GAP, LABEL_HEIGHT, TITLE_HEIGHT, draw_sheet, draw_sheets

INFO = MediaInfo("x.mp4", "video", 320, 180, "h264", "pyav", duration=8.0)


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


@pytest.mark.parametrize(
    ("frames", "width", "height", "columns"),
    [(8, 336, 336, 4), (32, 336, 336, 8), (4, 320, 180, 2), (8, 180, 320, 4), (1, 320, 180, 1), (3, 160, 480, 3)],
)
def test_rows_are_as_long_as_makes_the_sheet_like_a_screen(frames: int, width: int, height: int, columns: int) -> None:
    sheet = draw_sheet(clip(frames, width, height), widest=width)
    assert sheet.width == columns * (width * -(-168 // width) + GAP) + GAP


def test_no_sheet_is_a_strip_and_few_places_are_empty() -> None:
    for frames in range(2, 65):
        for width, height in ((320, 180), (180, 320), (200, 200)):
            sheet = draw_sheet(clip(frames, width, height))
            assert 0.6 < sheet.width / sheet.height < 4.5, (frames, width, height)


def test_several_media_stand_under_their_names() -> None:
    one = replace(clip(2, 320, 180), info=replace(INFO, path="first\n" + "x" * 500 + ".mp4"))
    two = replace(clip(4, 320, 180), info=replace(INFO, path="b\udcff.mp4"))
    single = [np.asarray(draw_sheet(medium)) for medium in (one, two)]
    both = np.asarray(draw_sheets([one, two]))
    y = 0
    for sheet in single:
        title = both[y : y + TITLE_HEIGHT]
        assert title.max() == 255
        assert (title[:, -GAP:] == title[0, -1]).all()  # a long name is cut, not run over the edge
        y += TITLE_HEIGHT
        assert np.array_equal(both[y : y + len(sheet), : sheet.shape[1]], sheet)
        y += len(sheet)
    assert y == len(both)
    assert not np.array_equal(both[:TITLE_HEIGHT], both[TITLE_HEIGHT + len(single[0]) :][:TITLE_HEIGHT])


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG"), ("a.webp", "WEBP"), ("a", "PNG")]
)
def test_the_suffix_names_the_format(tmp_path: Path, name: str, kind: str) -> None:
    contact_sheet(clip(2, 320, 180), tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
        assert read_mark(np.asarray(image.convert("RGB"))[GAP : GAP + 180, 320 + 2 * GAP :][:, :320]) == 10


def test_other_formats_and_more_pixels_than_one_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.gif: must end in \.png, \.jpg, \.jpeg, \.webp"):
        contact_sheet(clip(1, 64, 64), tmp_path / "a.gif")
    with pytest.raises(OutputError, match=r"pixels are too many for WEBP; try \.png"):
        contact_sheet(clip(60, 320, 180), tmp_path / "a.webp", columns=60)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sheet.png").write_text("old")

    def explode(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", explode)
    with pytest.raises(OutputError, match=r"sheet\.png: cannot be written: the disk is full"):
        contact_sheet(clip(1, 64, 64), tmp_path / "sheet.png")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("sheet.png", "old")]
