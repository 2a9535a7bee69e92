# SPDX-License-Identifier: Apache-2.0
"""Which family a checkpoint belongs to: decided by what its config.json says, never by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny.llava_video import original_config

from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.interleave import Interleave
from llava_cli.models.llava_next_video import LlavaNextVideo
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.onevision import Onevision
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import FAMILIES, family_of
from llava_cli.models.video_llava import VideoLlava

INTERLEAVE = PUBLISHED["interleave-7b"].config
ORIGINAL = {key: value for key, value in original_config().items() if key != "vision_config"}
FIRST_ONEVISION = {
    key: value for key, value in ORIGINAL.items() if key not in ("mm_newline_position", "add_time_instruction")
}
CONVERTED = {"model_type": "llava_onevision", "vision_config": {}, "text_config": {"model_type": "qwen2"}}
CLIP, LLAMA = {"model_type": "clip_vision_model"}, {"model_type": "llama"}


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (PUBLISHED["next-video-7b"].config, LlavaNextVideo),
        (PUBLISHED["video-llava-7b"].config, VideoLlava),
        (INTERLEAVE, Interleave),
        (PUBLISHED["llava-video-7b"].config, LlavaVideo),
        (ORIGINAL, LlavaVideo),
        (ORIGINAL | {"model_type": "llava_qwen"}, LlavaVideo),
        (ORIGINAL | {"mm_vision_tower": "/home/me/siglip-so400m-patch14-384"}, LlavaVideo),
        (CONVERTED | {"mm_newline_position": "grid"}, LlavaVideo),
        (CONVERTED | {"mm_spatial_pool_mode": "average"}, LlavaVideo),
        (CONVERTED | {"architectures": ["LlavaVideoForConditionalGeneration"]}, LlavaVideo),
        (PUBLISHED["onevision-7b"].config, Onevision),
        (CONVERTED, Onevision),
        (CONVERTED | {"_name_or_path": "someone/LLaVA-Video-7B-Qwen2-hf"}, Onevision),
    ],
)
def test_a_checkpoint_s_family_is_what_its_config_says(config, family):
    assert type(family_of(Checkpoint("LLaVA-Video-7B-Qwen2", Path("LLaVA-Video-7B-Qwen2"), config))) is family


@pytest.mark.parametrize(
    "config",
    [
        FIRST_ONEVISION,
        ORIGINAL | {"architectures": ["LlavaMistralForCausalLM"]},
        ORIGINAL | {"architectures": 5},
        ORIGINAL | {"mm_vision_tower": "openai/clip-vit-large-patch14-336"},
        ORIGINAL | {"mm_patch_merge_type": "flat"},
        ORIGINAL | {"mm_use_im_start_end": True},
        ORIGINAL | {"add_faster_video": True},
        ORIGINAL | {"mm_resampler_type": "spatial_pool"},
        INTERLEAVE | {"vision_config": CLIP, "text_config": LLAMA},
        INTERLEAVE | {"vision_config": CLIP},
        INTERLEAVE | {"text_config": LLAMA},
        {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "clip"},
        {"model_type": "llava", "text_config": None, "vision_config": "siglip_vision_model"},
        {"model_type": ["llava"]},
    ],
)
def test_a_checkpoint_of_no_family_is_refused_whatever_its_name(config):
    assert not any(family.recognizes(config) for family in FAMILIES)
    with pytest.raises(ModelError, match=r"'llava'.*supported families"):
        family_of(Checkpoint("llava-interleave-qwen-7b-hf", Path("llava-interleave-qwen-7b-hf"), config))
