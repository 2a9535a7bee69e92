# SPDX-License-Identifier: Apache-2.0
"""Transparent video: the left half of each frame is clear, the right half is red, more so in each frame."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from llava_cli.media import alpha
from llava_cli.media.clip import Sampling, View
from llava_cli.media.load import load_media

KINDS = {
    "qtrle": (".mov", "qtrle", "argb"),
    "png": (".mov", "png", "rgba"),
    "prores": (".mov", "prores_ks", "yuva444p10le"),
    "ffv1": (".mkv", "ffv1", "bgra"),
    "vp8": (".webm", "libvpx", "yuva420p"),
    "vp9": (".webm", "libvpx-vp9", "yuva420p"),
}
SIZE = 64


def rendered(folder: Path, kind: str, opacity: int | None = None) -> Path:
    """A video of 12 frames; `opacity` of the right half, by default rising."""
    suffix, codec, pixels = KINDS[kind]
    path = folder / f"{kind}{suffix}"
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, 25)
        stream.width = stream.height = SIZE
        stream.pix_fmt = pixels
        if codec.startswith("libvpx"):
            stream.options = {"auto-alt-ref": "0", "crf": "4", "b": "2M"}
            stream.metadata["alpha_mode"] = "1"
        for number in range(12):
            picture = np.zeros((SIZE, SIZE, 4), np.uint8)
            picture[:, SIZE // 2 :] = (255, 0, 0, 120 + 10 * number if opacity is None else opacity)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("pixels", ["exact", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_transparent_video_is_on_white(tmp_path, kind, pixels):
    view = View((32, 32), "squash", Sampling("uniform", 3), pixels=pixels)
    clip = load_media(str(rendered(tmp_path, kind)), view)
    assert clip.indices == (0, 4, 8)
    assert clip.info.warnings == ()
    for index, frame in zip(clip.indices, clip.frames, strict=True):
        clear, red = frame[:, :12].reshape(-1, 3), frame[:, 20:].reshape(-1, 3)
        assert np.abs(clear.astype(int) - 255).max() <= 6
        shown = 255 - (120 + 10 * index)
        assert np.abs(red.astype(int).mean(0) - (255, shown, shown)).max() <= 6


@pytest.mark.parametrize("kind", ["qtrle", "ffv1"])
def test_opaque_frames_of_such_files_are_the_bytes_of_any_other_s(tmp_path, kind):
    path = str(rendered(tmp_path, kind, opacity=255))
    with av.open(path) as container:
        first = next(container.decode(video=0))
    whole = load_media(path, View((0, 0), "full", Sampling("uniform", 1))).frames[0]
    red = whole[:, SIZE // 2 :]
    assert np.array_equal(red, first.to_ndarray(format="rgb24")[:, SIZE // 2 :])
    assert (whole[:, : SIZE // 2] == 255).all()


def test_transparency_that_cannot_be_decoded_is_told(tmp_path, monkeypatch):
    path = rendered(tmp_path, "vp9")
    monkeypatch.setattr(alpha, "DECODERS", {"vp9": "no-such-decoder"})
    clip = load_media(str(path), View((32, 32), "squash", Sampling("uniform", 2)))
    (warning,) = clip.info.warnings
    assert "transparency" in warning


def test_a_frame_without_transparency_is_handed_on_as_it_is():
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert alpha.on_white(frame, None) is frame
