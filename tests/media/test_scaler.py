# SPDX-License-Identifier: Apache-2.0
"""Frames in the view: their pixels, their shape, their colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from media.reading import decode_everything, sample, source
from media.rendering import SPECS, read_mark, render, x264
from PIL import Image

from llava_cli.errors import InputError
from llava_cli.media import Sampling, View, load_media, sampler
from llava_cli.media.clip import Fit
from llava_cli.media.reader import Reader
from llava_cli.media.scaler import INTERPOLATION

Rendered = Callable[[str], Path]


def test_full_frames_are_byte_for_byte_the_published_recipe(rendered: Rendered) -> None:
    clip = sample(rendered("h264"), 8)
    recipe = [frame.to_ndarray(format="rgb24") for frame in decode_everything(rendered("h264"))]
    assert np.array_equal(clip.frames, np.stack([recipe[i] for i in np.arange(0, 100, 100 / 8).astype(int)]))


def test_scaling_is_bicubic_and_not_a_level_too_dark(rendered: Rendered) -> None:
    clip = sampler.read_clip(source(rendered("h264")), View((20, 30), "squash", Sampling()))
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
