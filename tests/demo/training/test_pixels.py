# SPDX-License-Identifier: Apache-2.0
"""The training pixels are the tool's pixels."""

import numpy as np
import pytest
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from llava_cli.demo import CHECKPOINT, show
from llava_cli.demo.draw import render
from llava_cli.demo.training.pixels import (
    DEVIATION,
    FRAMES,
    MEAN,
    PINPOINTS,
    SIDE,
    normalise,
    plan_anyres,
    sample_times,
    still_tiles,
    still_tokens,
    video_view,
    wear,
)
from llava_cli.demo.world import dice
from llava_cli.media.clip import MediaInfo, Still
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.llava_next_video import LlavaNextVideo

SIZES = [(240, 320), (240, 240), (320, 240), (240, 426), (100, 333), (64, 64), (33, 90)]
"""Height and width."""


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_tiles_are_those_of_the_hubs_processor(height: int, width: int) -> None:
    picture = render(show.STILL, [0.0], width, height)[0]
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_mean=MEAN, image_std=DEVIATION,
        image_grid_pinpoints=[list(pinpoint) for pinpoint in PINPOINTS],
    )  # fmt: skip
    theirs = processor(picture, return_tensors="np", input_data_format="channels_last").pixel_values[0]
    np.testing.assert_allclose(normalise(still_tiles(picture)), theirs, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_visual_tokens_are_those_of_the_family(height: int, width: int) -> None:
    config = {
        "model_type": "llava_next_video",
        "vision_config": {"image_size": SIDE, "patch_size": 8},
        "image_grid_pinpoints": [list(pinpoint) for pinpoint in PINPOINTS],
    }
    info = MediaInfo("still.png", "image", width, height, None, "pillow")
    still = Still(np.zeros((height, width, 3), np.uint8), info)
    family = LlavaNextVideo(Checkpoint("demo", CHECKPOINT, config))
    assert still_tokens(height, width) == family.visual_tokens(still)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_windows_say_where_a_tile_lies(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    y, x = height * 2 // 5, width * 3 // 5
    size = max(height, width) // 16 + 2
    picture[y - size : y + size, x - size : x + size] = 255
    seen = 0
    for tile, window in zip(still_tiles(picture), plan_anyres(height, width).windows(), strict=True):
        place = np.argwhere(tile[..., 0] > 128) / SIDE
        if len(place) < 9:
            continue
        expected = (window.y_scale * y / height + window.y_shift, window.x_scale * x / width + window.x_shift)
        inside = all(0.15 < part < 0.85 for part in expected)
        if inside:
            seen += 1
            assert place.mean(axis=0) == pytest.approx(expected, abs=0.04)
    assert seen


def test_times_are_eight_in_order_within_the_clip() -> None:
    for number in range(50):
        times = sample_times(dice(number))
        assert len(times) == FRAMES
        assert times == sorted(set(times))
        assert times[0] >= 0
        assert times[-1] <= 1


def test_wear_changes_little_and_alike() -> None:
    frames = render(show.CLIP, [0.5, 0.5], 96, 96)
    for number in range(30):
        worn = wear(frames, dice(number))
        assert worn.shape == frames.shape
        assert np.abs(worn.astype(int) - frames).mean() < 8
    assert video_view(frames).shape == (2, SIDE, SIDE, 3)
