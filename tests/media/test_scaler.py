# SPDX-License-Identifier: Apache-2.0
"""Frames in the view: their pixels, their shape, their colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from media.reading import decode_everything, sample, source
from media.rendering import SPECS, read_mark, render, x264
from PIL import Image

from llava_cli.errors import InputError
from llava_cli.media import Sampling, View, load_media, sampler
from llava_cli.media.clip import Fit
from llava_cli.media.geometry import fitting
from llava_cli.media.reader import Reader
from llava_cli.media.scaler import INTERPOLATION, FrameScaler

Rendered = Callable[[str], Path]


def test_full_frames_are_byte_for_byte_the_published_recipe(rendered: Rendered) -> None:
    clip = sample(rendered("h264"), 8)
    recipe = [frame.to_ndarray(format="rgb24") for frame in decode_everything(rendered("h264"))]
    assert np.array_equal(clip.frames, np.stack([recipe[i] for i in np.arange(0, 100, 100 / 8).astype(int)]))


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("resample", Image.Resampling)
def test_exact_frames_are_those_scaled_by_pillow(rendered: Rendered, fit: Fit, resample: Image.Resampling) -> None:
    view = View((20, 30), fit, Sampling(), resample)
    clip = sampler.read_clip(source(rendered("h264")), view)
    recipe = decode_everything(rendered("h264"))[clip.indices[2]].to_ndarray(format="rgb24")
    plan = fitting(64, 48, view)
    scaled = np.asarray(Image.fromarray(recipe).resize((plan.width, plan.height), resample))
    assert np.array_equal(clip.frames[2], scaled[plan.top : plan.top + 20, plan.left : plan.left + 30])
    assert clip.pixels == "exact"


def test_only_small_frames_are_held(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    scale = FrameScaler.__call__
    monkeypatch.setattr(FrameScaler, "__call__", lambda *given: held.append(scale(*given)) or held[-1])
    sampler.read_clip(source(rendered("h264")), View((20, 30), "crop", Sampling(frames=4)))
    assert [(frame.pixels.shape, frame.pixels.base is None) for frame in held] == [((20, 30, 3), True)] * 4


@pytest.mark.parametrize("name", ["h264", "odd_size", "ten_bit"])
def test_one_thread_converts_to_the_bytes_of_many(rendered: Rendered, name: str) -> None:
    (first, *_) = decode_everything(rendered(name))
    one = VideoReformatter().reformat(first, format="rgb24", threads=1).to_ndarray()
    for threads in (0, 2, 3, 7):
        many = VideoReformatter().reformat(first, format="rgb24", threads=threads).to_ndarray()
        assert np.array_equal(one, many)


def test_fast_scaling_is_bicubic_and_not_a_level_too_dark(rendered: Rendered) -> None:
    clip = sampler.read_clip(source(rendered("h264")), View((20, 30), "squash", Sampling(), pixels="fast"))
    assert clip.pixels == "fast"
    whole = decode_everything(rendered("h264"))[clip.indices[2]]
    exact = whole.reformat(format="rgb24", interpolation=INTERPOLATION).to_ndarray()
    bicubic = np.asarray(Image.fromarray(exact).resize((30, 20), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(clip.frames[2] - bicubic).mean() < 0.6
    assert abs((clip.frames[2] - bicubic).mean()) < 0.1


def test_wide_pixels_are_stretched(rendered: Rendered) -> None:
    clip = sample(rendered("wide_pixels"))
    assert (clip.info.width, clip.info.height) == (128, 48)
    assert clip.frames.shape[1:] == (48, 128, 3)
    assert read_mark(clip.frames[3]) == clip.indices[3]


def test_colours_that_cannot_be_converted_are_an_error(tmp_path: Path) -> None:
    """OpenCV would show them all the same, in false ones."""
    render(replace(SPECS["h264"], options=x264(**{"x264-params": "colormatrix=YCgCo"}), frames=5), tmp_path / "x.mp4")
    with pytest.raises(InputError, match="colours in YCgCo, which cannot be converted"):
        load_media(tmp_path / "x.mp4", View((48, 48), "crop", Sampling()))


@pytest.mark.parametrize("fit", ["full", "crop"])
def test_colours_marked_in_a_way_that_has_no_meaning_are_read_as_usual(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch, fit: Fit
) -> None:
    usual = sample(rendered("h264"), 4, fit)
    decode = Reader._decode

    def marked_so(reader: Reader, packet: object) -> list[av.VideoFrame]:
        frames = decode(reader, packet)  # type: ignore[arg-type]
        for frame in frames:
            frame.colorspace = 3
        return frames

    monkeypatch.setattr(Reader, "_decode", marked_so)
    clip = sample(rendered("h264"), 4, fit)
    assert np.array_equal(clip.frames, usual.frames)
    assert [note for note in clip.info.warnings if "colours" in note] == [
        "how its colours are to be read is not known (matrix 3): they are read as usual"
    ]
