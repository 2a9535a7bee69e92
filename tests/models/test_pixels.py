# SPDX-License-Identifier: Apache-2.0
"""The authors' preprocessing, which `--exact-pixels` is, and how far frames scaled inside the decoder are from it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import noise
from PIL import Image

from llava_cli.media import load_media
from llava_cli.models import pixels
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.llava_next_video import LlavaNextVideo

REAL_MEDIA = os.environ.get("LLAVA_TEST_MEDIA")
MEAN_BOUND, MAX_BOUND = 1.5, 24


@pytest.fixture(scope="module")
def family(checkpoints) -> LlavaNextVideo:
    return LlavaNextVideo(open_checkpoint(str(checkpoints("llava-next-video"))))


@pytest.mark.parametrize(
    ("scale", "box", "mean", "std"),
    [
        (
            pixels.cropped,
            (int(56 * 500 / 300), 56),
            [0.48145466, 0.4578275, 0.40821073],
            [0.26862954, 0.26130258, 0.27577711],
        ),
        (pixels.squashed, (56, 56), [0.5] * 3, [0.5] * 3),
    ],
)
def test_pictures_are_scaled_as_the_authors_do(scale, box, mean, std):
    """By Pillow, bicubic, then the centre if a crop is wanted; what has that size already is only normalized."""
    picture = noise(0, 300, 500, 3)
    scaled = np.asarray(Image.fromarray(picture).resize(box, Image.Resampling.BICUBIC))
    left = (scaled.shape[1] - 56) // 2
    sized = scaled[:, left : left + 56]
    expected = ((sized.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)
    assert np.abs(scale([picture], 56)[0].numpy() - expected).max() < 1e-5
    assert torch.equal(scale([sized], 56), scale([picture], 56))


def difference(family: LlavaNextVideo, path: Path) -> np.ndarray:
    """Absolute difference of 8-bit levels between the two roads."""
    levels = []
    for fit in (family.view.fit, "full"):
        seen = family.clip_pixels(load_media(path, dataclasses.replace(family.view, fit=fit)))
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])[:, None, None]
        levels.append(seen.numpy() * deviation * 255)
    return np.abs(levels[0] - levels[1])


@pytest.mark.parametrize("name", ["h264", "rotated_90", "vp9", "odd_size"])
def test_on_rendered_clips(family, rendered, name):
    apart = difference(family, rendered(name))
    assert apart.mean() <= MEAN_BOUND
    assert apart.max() <= MAX_BOUND


@pytest.mark.skipif(REAL_MEDIA is None, reason="LLAVA_TEST_MEDIA names no folder of real media")
def test_on_real_clips(family, record_property):
    for path in sorted(Path(REAL_MEDIA, "real").glob("*.mp4")):
        apart = difference(family, path)
        record_property(path.name, f"mean {apart.mean():.2f} max {apart.max():.0f}")
        print(f"{path.name}: mean {apart.mean():.2f}, max {apart.max():.0f} of 255 levels")
        assert apart.mean() <= MEAN_BOUND
        assert apart.max() <= MAX_BOUND
