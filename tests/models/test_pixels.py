# SPDX-License-Identifier: Apache-2.0
"""How far frames scaled inside the decoder are from the authors' preprocessing, which `--exact-pixels` is."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoint

from llava_cli.media import load_media
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.llava_next_video import LlavaNextVideo

MEAN_BOUND, MAX_BOUND = 1.5, 24


@pytest.fixture(scope="module")
def family(tmp_path_factory) -> LlavaNextVideo:
    return LlavaNextVideo(open_checkpoint(str(tiny_checkpoint.make(tmp_path_factory.mktemp("tiny")))))


def difference(family: LlavaNextVideo, path: Path) -> np.ndarray:
    """Absolute difference of 8-bit levels between the two roads."""
    levels = []
    for fit in (family.view.fit, "full"):
        pixels = family.clip_pixels(load_media(path, dataclasses.replace(family.view, fit=fit)))
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])[:, None, None]
        levels.append(pixels.numpy() * deviation * 255)
    return np.abs(levels[0] - levels[1])


@pytest.mark.parametrize("name", ["h264", "rotated_90", "vp9", "odd_size"])
def test_on_rendered_clips(family, rendered, name):
    apart = difference(family, rendered(name))
    assert apart.mean() <= MEAN_BOUND
    assert apart.max() <= MAX_BOUND


@pytest.mark.skipif("LLAVA_TEST_MEDIA" not in os.environ, reason="LLAVA_TEST_MEDIA names no folder of real media")
def test_on_real_clips(family, record_property):
    for path in sorted(Path(os.environ["LLAVA_TEST_MEDIA"], "real").glob("*.mp4")):
        apart = difference(family, path)
        record_property(path.name, f"mean {apart.mean():.2f} max {apart.max():.0f}")
        print(f"{path.name}: mean {apart.mean():.2f}, max {apart.max():.0f} of 255 levels")
        assert apart.mean() <= MEAN_BOUND
        assert apart.max() <= MAX_BOUND
