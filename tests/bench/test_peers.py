# SPDX-License-Identifier: Apache-2.0
"""Each way to read frames gives those that it says, of a file that none of them finds hard."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from media.rendering import read_mark
from PIL import Image

from llava_cli.bench import peers
from llava_cli.bench.peers import READERS, SIDE, as_shown, spread

COUNT = 5
INSTALLED = [reader for reader in READERS if reader.installed]

each_reader = pytest.mark.parametrize("reader", INSTALLED, ids=lambda reader: reader.name)


@pytest.fixture(autouse=True)
def opencv_as_others_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """This program's own reader, which other tests may have used in this process, leaves settings to the library."""
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", raising=False)


@each_reader
def test_a_reader_gives_the_frames_that_it_says(reader, rendered):
    reading = reader.read(str(rendered("h264")), COUNT)
    marks = {index: read_mark(as_shown(pixels)) for index, pixels in reading.frames}
    assert marks == {index: index for index in (0, 20, 40, 60, 80)}
    assert reading.total in (None, 100)


def test_this_program_and_what_it_depends_on_are_always_there():
    names = {"llava", "llava, fast pixels", "PyAV recipe", "OpenCV seek", "OpenCV in order"}
    assert names <= {reader.name for reader in INSTALLED}


def test_what_is_not_installed_is_known_without_importing_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert not peers.Reader("x", peers.recipe, ("no_such_module.below",)).installed
    assert not peers.Reader("x", peers.recipe, program="ffmpeg").installed
    assert peers.Reader("x", peers.recipe, ("av",)).installed


def test_exact_pixels_are_the_recipe_s_and_fast_ones_are_not(rendered):
    def shown(reader):
        return np.stack([as_shown(pixels) for _, pixels in reader.read(str(rendered("h264")), COUNT).frames])

    exact, fast, recipe = (shown(reader) for reader in READERS[:3])
    assert (exact == recipe).all()
    assert (fast != recipe).any()


def test_a_picture_s_centre_is_shown():
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    assert as_shown(wide).shape == (SIDE, SIDE, 3)
    assert as_shown(wide)[:, 8:-8].min() == 255
    assert as_shown(wide).mean() > 250
    small = np.asarray(Image.effect_noise((SIDE, SIDE), 50).convert("RGB"))
    assert as_shown(small) is small


def test_frames_are_spread_over_the_video():
    assert spread(100, 4) == [0, 25, 50, 75]
    assert spread(2, 4) == [0, 1]
    with pytest.raises(ValueError, match="number of frames"):
        spread(0, 4)


FFMPEG = r"""#!/bin/sh
echo "$@" >> "$(dirname "$0")/said"
case "$*" in
*" null "*) echo "  Stream #0:0: Video: h264, 2x1, 25 fps, 25 tbr" >&2; echo "frame=    4 fps=0.0" >&2 ;;
*) printf 'P6\n2 1\n255\n\001\002\003\004\005\006P6\n2 1\n255\n\007\010\011\012\013\014' ;;
esac
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch) -> Path:
    """A program that takes every video for one of four frames, and gives two."""
    path = tmp_path / "ffmpeg"
    path.write_text(FFMPEG)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "said"


def test_ffmpeg_s_pictures_are_read_one_by_one(ffmpeg):
    reading = peers._ffmpeg_select("x.mp4", 2)
    found = {index: pixels.tolist() for index, pixels in reading.frames}
    assert found == {0: [[[1, 2, 3], [4, 5, 6]]], 2: [[[7, 8, 9], [10, 11, 12]]]}
    assert (reading.total, len(reading.helper_memory)) == (4, 1)
    assert "select='eq(n,0)+eq(n,2)'" in ffmpeg.read_text()


def test_ffmpeg_seeks_to_half_a_frame_before(ffmpeg):
    assert [index for index, _ in peers._ffmpeg_seek("x.mp4", 2).frames] == [0, 0, 2, 2]
    seeks = [line.split("-ss ")[1].split()[0] for line in ffmpeg.read_text().splitlines() if "-ss" in line]
    assert list(map(float, seeks)) == [0, 0.06]


def test_an_ffmpeg_that_says_no_number_is_an_error(ffmpeg):
    (ffmpeg.parent / "ffmpeg").write_text("#!/bin/sh\n")
    with pytest.raises(ValueError, match="how many frames"):
        peers._ffmpeg_select("x.mp4", 2)


class Library:
    """Stands for libraries that are not installed here: takes every video for one of nine frames, each of its index."""

    def __init__(self, path: str, **settings: str) -> None:
        self.settings = settings

    def __len__(self) -> int:
        return 9

    def taken(self, indices: list[int]) -> np.ndarray:
        return np.stack([np.full((2, 3, 3), index, np.uint8) for index in indices])

    def get_batch(self, indices: list[int]) -> SimpleNamespace:
        return SimpleNamespace(asnumpy=lambda: self.taken(indices))

    def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
        assert self.settings == {"dimension_order": "NHWC"}
        return SimpleNamespace(data=SimpleNamespace(numpy=lambda: self.taken(indices)))


@pytest.mark.parametrize(
    ("module", "name"),
    [("decord", "VideoReader"), ("torchcodec.decoders", "VideoDecoder")],
    ids=["decord", "torchcodec"],
)
def test_other_libraries_are_asked_for_the_frames_that_are_wanted(monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], ModuleType(module))
    stub = ModuleType(module)
    setattr(stub, name, Library)
    monkeypatch.setitem(sys.modules, module, stub)
    read = next(reader.read for reader in READERS if reader.modules == (module,))
    reading = read("x.mp4", 3)
    assert reading.total == 9
    assert [(index, pixels.shape, int(pixels.max())) for index, pixels in reading.frames] == [
        (0, (2, 3, 3), 0),
        (3, (2, 3, 3), 3),
        (6, (2, 3, 3), 6),
    ]
