# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: eight frames whatever the clip."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pictures import clip, still

from llava_cli.errors import UsageError
from llava_cli.media.clip import Sampling
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.published import PUBLISHED
from llava_cli.models.video_llava import VideoLlava, shown_places

SEVEN_B = PUBLISHED["video-llava-7b"].config


def family(config: dict) -> VideoLlava:
    return VideoLlava(Checkpoint("test", Path("nowhere"), config))


def test_geometry_is_never_assumed():
    other = family(SEVEN_B | {"vision_config": {"image_size": 336, "patch_size": 28}, "video_token_index": 7})
    assert other.view.size == (336, 336)
    assert other.visual_tokens(clip(8, 336, 336)) == 8 * (144 + 1)
    assert other.placeholder_ids["video"] == 7
    assert family(SEVEN_B | {"vision_feature_select_strategy": "full"}).visual_tokens(still(9, 9)) == 257


def test_eight_frames_of_any_clip_are_shown():
    """Eight as they are; of fewer, some again, as the authors' own sampling does."""
    assert shown_places(8) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert shown_places(3) == [0, 0, 0, 0, 1, 1, 1, 2]
    assert shown_places(1) == [0] * 8
    assert family(SEVEN_B).visual_tokens(clip(3, 224, 224)) == 2056


@pytest.mark.parametrize(("shown", "asked"), [(16, 16), (4, 4), (3, 16)])
def test_another_number_of_frames_is_refused_by_name(shown, asked):
    wrong = dataclasses.replace(clip(shown, 56, 56), sampling=Sampling(frames=asked))
    with pytest.raises(UsageError, match=f"clip.mp4: .* exactly 8 frames, not {asked}"):
        family(SEVEN_B).placeholders(wrong)
