# SPDX-License-Identifier: Apache-2.0
"""Damage inside of a JPEG is told; what is only unusual is not."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_cli.media import Sampling, Still, View, load_media
from llava_cli.media.jpeg import damage

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)).resize((384, 288))
VIEW = View((48, 48), "crop", Sampling())

KINDS: dict[str, dict[str, object]] = {
    "usual": {}, "progressive": {"progressive": True}, "fine": {"quality": 100, "subsampling": 0},
    "coarse": {"quality": 1}, "restart markers": {"restart_marker_blocks": 3},
    "progressive with restart markers": {"restart_marker_rows": 1, "progressive": True},
    "RGB": {"keep_rgb": True}, "optimized": {"optimize": True}, "comment": {"comment": b"\xff\xd9" * 9},
}  # fmt: skip


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def whole_ones() -> Iterator[tuple[str, bytes]]:
    for name, options in KINDS.items():
        yield name, jpeg(**options)
    for mode in ("L", "CMYK"):
        yield mode, jpeg(mode)
        yield f"progressive {mode}", jpeg(mode, progressive=True)
    thumbnail = Image.Exif()
    yield "exif", jpeg(exif=thumbnail)
    yield "with bytes after it", jpeg() + b"what cameras leave here" * 100
    yield "with another one after it", jpeg() + jpeg(progressive=True)
    yield "without an end", jpeg()[:-2]
    yield "filled up with zeros", jpeg()[:-2] + bytes(40) + b"\xff\xd9"
    file = io.BytesIO()
    PICTURE.save(file, "MPO", save_all=True, append_images=[PICTURE.rotate(180)])
    yield "several pictures", file.getvalue()


WHOLE = dict(whole_ones())


@pytest.mark.parametrize("name", WHOLE)
def test_no_whole_one_is_called_damaged(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert damage(io.BytesIO(WHOLE[name])) is None
    assert capfd.readouterr() == ("", "")


def spoilt(data: bytes, seed: int) -> bytes:
    """Some of the compressed data overwritten, without a marker among it."""
    luck = np.random.default_rng(seed)
    start = data.index(b"\xff\xda") + 20
    place = int(luck.integers(start, start + (len(data) - start) // 2))
    return data[:place] + luck.integers(0, 255, 60, np.uint8).tobytes() + data[place + 60 :]


@pytest.mark.parametrize("name", ["usual", "progressive", "CMYK", "L", "restart markers"])
def test_garbage_is_told(name: str) -> None:
    """Not every time: compressed data may by chance make sense again, and end where it should."""
    told = [damage(io.BytesIO(spoilt(WHOLE[name], seed))) for seed in range(20)]
    assert sum(what is not None for what in told) >= 12


def test_the_receipt_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jpg").write_bytes(spoilt(WHOLE["usual"], 3))
    media = load_media(tmp_path / "x.jpg", VIEW)
    assert isinstance(media, Still)
    (warning,) = media.info.warnings
    assert warning.startswith("damaged: parts of the picture may be wrong (")
    assert capfd.readouterr() == ("", "")


def test_without_opencv_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert damage(io.BytesIO(spoilt(WHOLE["usual"], 3))) is None
