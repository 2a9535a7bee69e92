# SPDX-License-Identifier: Apache-2.0
"""Files from the wild. LLAVA_TEST_MEDIA names a folder with `real/` and `odd/` in it; without it nothing runs here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, Still, View, load_media, opencv, sampler
from llava_cli.media.errors import DecoderError
from llava_cli.media.scaler import FrameScaler
from llava_cli.media.source import Source
from llava_cli.media.worker.parent import Worker

FOLDER = os.environ.get("LLAVA_TEST_MEDIA")
FILES = sorted(path for name in ("real", "odd") for path in Path(FOLDER, name).iterdir()) if FOLDER else []

pytestmark = pytest.mark.skipif(not FOLDER, reason="LLAVA_TEST_MEDIA is not set")

REFUSED = {
    "ax_sample_audio_only.mp4": "has no video stream",
    "mz_invalid_userdata.mp4": "lists 5544 frames, none of which can be decoded",
    "mz_short-cenc.mp4": "is encrypted",
    "pl_decompression_bomb.gif": "pixels allowed",
    "pl_truncated_image.png": "cut short",
    "pl_truncated_jpeg.jpg": "cut short",
}
PICTURES = {".avif", ".gif", ".jpg", ".png", ".webp"}
VIDEOS = [path for path in FILES if path.name not in REFUSED and path.suffix not in PICTURES]
DAMAGED = {"ax_sample_with_invalid_nalu.mp4", "dc_corrupted.mp4", "mz_no_timescale.mp4"}
VARYING = {"ax_sample_android_slow_motion.mp4"}
MIRRORED = {"ax_sample_rotate_and_reflect.mp4"}
DEEP = {"tc_h265_10bits.mp4"}
ONLY_PYAV = {"tc_av1_video.mkv"}
SECOND_TRACK = {"tc_nasa_13013.mp4"}
ODD_WIDTH = {"tc_test_non_zero_start.mp4"}
"""For these FFmpeg has no plain conversion to RGB: it scales, and PyAV and OpenCV ask for different scalers."""


def view(frames: int, fit: str = "crop") -> View:
    return View((96, 96), fit, Sampling(frames=frames))  # type: ignore[arg-type]


def decode_everything(path: Path) -> list[av.VideoFrame]:
    """Decode the best video track packet by packet; what cannot be decoded is passed over.

    With more than one thread, FFmpeg mends damaged pictures differently.
    """
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                frames += stream.decode(packet if packet.size else None)
    return frames


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_ends_in_media_or_one_clear_error(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if path.name in REFUSED:
        with pytest.raises(InputError, match=REFUSED[path.name]):
            load_media(path, view(8))
    else:
        media = load_media(path, view(8))
        assert isinstance(media, Clip | Still)
        if isinstance(media, Clip):
            assert media.frames.shape[1:] == (96, 96, 3)
            assert media.info.decoder in ("pyav", "pillow")
            assert any("damaged" in note for note in media.info.warnings) == (path.name in DAMAGED)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as here:
        yield here


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_confined_process_gives_the_same(path: Path, worker: Worker) -> None:
    """Nothing is missing there that a file may be the first to need."""
    if path.name in REFUSED:
        with pytest.raises(InputError, match=REFUSED[path.name]):
            worker.load(path, view(8))
        return
    here, there = load_media(path, view(8)), worker.load(path, view(8))
    assert there.info == here.info
    if isinstance(here, Clip) and isinstance(there, Clip):
        assert np.array_equal(there.frames, here.frames)
    elif isinstance(here, Still) and isinstance(there, Still):
        assert np.array_equal(there.pixels, here.pixels)


@pytest.mark.parametrize("frames", [1, 3, 8, 16, 64])
@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_frames_are_those_of_a_linear_decode(path: Path, frames: int) -> None:
    clip = load_media(path, view(frames))
    assert isinstance(clip, Clip)
    assert clip.info.decoder == "pyav"
    truth = decode_everything(path)
    assert len(clip.indices) == min(frames, len(truth)) or path.name in VARYING
    with av.open(str(path)) as container:
        scale = FrameScaler(view(frames), container.streams.best("video").sample_aspect_ratio)
    for place, index in enumerate(clip.indices):
        assert np.array_equal(clip.frames[place], scale(index, 0.0, truth[index]).pixels), index


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_both_decoders_see_the_same(path: Path) -> None:
    source = Source(str(path), path.name)
    if path.name in ONLY_PYAV:
        with pytest.raises(DecoderError):
            opencv.read_clip(source, view(8, "full"))
    elif path.name in SECOND_TRACK:
        with pytest.raises(DecoderError, match="several video tracks"):
            opencv.read_clip(source, view(8, "full"))
    elif path.name not in DAMAGED | MIRRORED:  # OpenCV stops at damage, and mirrors nothing
        first, second = sampler.read_clip(source, view(8, "full")), opencv.read_clip(source, view(8, "full"))
        assert first.indices == second.indices
        assert first.times == pytest.approx(second.times, abs=0.002)
        assert (first.info.width, first.info.height) == (second.info.width, second.info.height)
        assert first.info.rotation == second.info.rotation
        if path.name not in DEEP:
            difference = np.abs(first.frames.astype(int) - second.frames).mean()
            assert difference <= (3 if path.name in ODD_WIDTH else 2)


def test_the_published_recipe(tmp_path: Path) -> None:
    path = Path(str(FOLDER), "real", "sample_demo_1.mp4")
    clip = load_media(path, view(8, "full"))
    assert isinstance(clip, Clip)
    assert clip.indices == (0, 30, 60, 91, 121, 151, 182, 212)
    assert clip.info.duration == 9.72
    with av.open(str(path)) as container:
        recipe = [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in clip.indices]
    assert np.array_equal(clip.frames, np.stack(recipe))
