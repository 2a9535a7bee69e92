# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: trained on eight frames, shown as many as there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import clip, still

from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.family import TEXT_TOKENS
from llava_cli.models.published import PUBLISHED
from llava_cli.models.video_llava import VideoLlava

SEVEN_B = PUBLISHED["video-llava-7b"].config


def family(config: dict) -> VideoLlava:
    return VideoLlava(Checkpoint("test", Path("nowhere"), config))


def test_geometry_is_never_assumed():
    other = family(SEVEN_B | {"vision_config": {"image_size": 336, "patch_size": 28}, "video_token_index": 7})
    assert other.view.size == (336, 336)
    assert other.visual_tokens(clip(8, 336, 336)) == 8 * (144 + 1)
    assert other.placeholder_ids["video"] == 7
    assert family(SEVEN_B | {"vision_feature_select_strategy": "full"}).visual_tokens(still(9, 9)) == 257


@pytest.mark.parametrize("frames", [1, 3, 8, 13])
def test_any_number_of_frames_is_shown_as_it_is(frames):
    """As transformers' code does; the recipe drops what a short clip's sampling repeats."""
    assert family(SEVEN_B).visual_tokens(clip(frames, 224, 224)) == 257 * frames


def test_what_it_was_not_trained_on_is_remarked():
    own = family(SEVEN_B)
    assert own.remarks([clip(8, 56, 56), still(9, 9)]) == ()
    remarks = own.remarks([clip(16, 56, 56), clip(3, 56, 56), clip(8, 56, 56), clip(3, 56, 56)])
    assert remarks == tuple(f"video-llava was trained with 8 frames of every video, not {count}" for count in (3, 16))


def test_more_frames_than_eight_are_bounded_by_the_context():
    assert family(SEVEN_B).most_frames == (4096 - TEXT_TOKENS) // 257 > 8
