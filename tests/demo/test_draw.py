# SPDX-License-Identifier: Apache-2.0
"""From a spec to pixels and files."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from llava_cli.demo import show
from llava_cli.demo.draw import encode, render, render_clip, render_still
from llava_cli.demo.world import ClipSpec, dice, sample_clip


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (96, 96)])
def test_the_shape_is_where_its_spec_says(size: tuple[int, int]) -> None:
    width, height = size
    (shape,) = show.CLIP.shapes
    for time, frame in zip((0.0, 0.5, 1.0), render(show.CLIP, [0.0, 0.5, 1.0], width, height), strict=True):
        x, y, radius, _ = shape.at(time)
        side = min(size)
        red = np.argwhere((frame == shape.rgb).all(axis=-1)).mean(axis=0)
        assert red == pytest.approx([height / 2 + (y - 0.5) * side, width / 2 + (x - 0.5) * side], abs=1.5)
        area = (frame == shape.rgb).all(axis=-1).sum()
        assert area == pytest.approx(np.pi * (radius * side) ** 2, rel=0.1)


def test_a_hidden_shape_leaves_the_ground() -> None:
    spec = next(
        spec for number in range(200) if (spec := sample_clip(dice(number), count=1)).shapes[0].actions == ("appear",)
    )
    before, after = render(spec, [0.0, 1.0], 64, 64)
    np.testing.assert_array_equal(before, render(ClipSpec(spec.ground), [0.0], 64, 64)[0])
    assert (before != after).any()


def test_an_encoded_clip_shows_what_was_rendered(tmp_path: Path) -> None:
    render_clip(show.CLIP, tmp_path / "clip.mp4", seconds=1, rate=24, width=160, height=120)
    frames = decode(tmp_path / "clip.mp4")
    assert frames.shape == (24, 120, 160, 3)
    rendered = render(show.CLIP, [index / 24 for index in range(24)], 160, 120)
    assert np.abs(frames.astype(int) - rendered).mean() < 4


def test_reversed_and_swapped_clips(tmp_path: Path) -> None:
    frames = render(show.CLIP, [0.0, 0.25, 0.5, 0.75], 64, 64)
    for name, options, expected in (
        ("back", {"reverse": True}, frames[::-1]),
        ("swap", {"swap_channels": True}, frames[..., ::-1]),
    ):
        path = tmp_path / f"{name}.mp4"
        render_clip(show.CLIP, path, seconds=1, rate=4, width=64, height=64, crf=10, **options)
        assert np.abs(decode(path).astype(int) - expected).mean() < 6


def test_stills_take_the_format_of_their_suffix(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        render_still(show.STILL, tmp_path / f"still.{suffix}")
        with Image.open(tmp_path / f"still.{suffix}") as picture:
            assert (picture.format, picture.size) == ({"png": "PNG", "jpg": "JPEG"}[suffix], (320, 240))


def test_encode_keeps_every_frame(tmp_path: Path) -> None:
    encode(np.zeros((7, 32, 32, 3), np.uint8), tmp_path / "black.mp4", rate=12)
    assert len(decode(tmp_path / "black.mp4")) == 7
