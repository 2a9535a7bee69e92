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
CLIP, SIGLIP = {"model_type": "clip_vision_model"}, {"model_type": "siglip_vision_model"}
LLAMA, QWEN = {"model_type": "llama"}, {"model_type": "qwen2"}
NEXT_VIDEO_2 = {
    "vision_config": SIGLIP,
    "text_config": QWEN,
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
}
NEXT_VIDEO, VIDEO_LLAVA = PUBLISHED["next-video-7b"].config, PUBLISHED["video-llava-7b"].config
ONEVISION = PUBLISHED["onevision-7b"].config


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
        (ORIGINAL | {"mm_newline_position": "frame", "add_time_instruction": False}, LlavaVideo),
        (ORIGINAL | {"mm_newline_position": "one_token"}, LlavaVideo),  # it is told the times
        (CONVERTED | {"mm_newline_position": "grid"}, LlavaVideo),
        (CONVERTED | {"mm_spatial_pool_mode": "average"}, LlavaVideo),
        (CONVERTED | {"architectures": ["LlavaVideoForConditionalGeneration"]}, LlavaVideo),
        (NEXT_VIDEO_2 | {"model_type": "llava_next_video"}, LlavaVideo),
        (NEXT_VIDEO_2 | {"model_type": "llava_next_video2"}, LlavaVideo),
        (PUBLISHED["onevision-7b"].config, Onevision),
        (CONVERTED, Onevision),
        (CONVERTED | {"mm_newline_position": "one_token", "mm_spatial_pool_mode": "bilinear"}, Onevision),
        (FIRST_ONEVISION, Onevision),
        (FIRST_ONEVISION | {"mm_newline_position": "one_token", "mm_spatial_pool_mode": "bilinear"}, Onevision),
        (FIRST_ONEVISION | {"add_time_instruction": "False"}, Onevision),
        (CONVERTED | {"_name_or_path": "someone/LLaVA-Video-7B-Qwen2-hf"}, Onevision),
    ],
)
def test_a_checkpoint_s_family_is_what_its_config_says(config, family):
    assert type(family_of(Checkpoint("LLaVA-Video-7B-Qwen2", Path("LLaVA-Video-7B-Qwen2"), config))) is family


@pytest.mark.parametrize(
    "config",
    [
        ORIGINAL | {"architectures": ["LlavaMistralForCausalLM"]},
        ORIGINAL | {"architectures": 5},
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


def test_of_a_checkpoint_of_no_family_its_parts_are_told():
    with pytest.raises(ModelError, match=r"text_config\.model_type = 'llama', vision_config\.model_type = 'siglip"):
        family_of(Checkpoint("x", Path("x"), INTERLEAVE | {"text_config": LLAMA}))


@pytest.mark.parametrize(
    ("config", "said", "supported"),
    [
        (
            ORIGINAL | {"mm_vision_tower": "openai/clip-vit-large-patch14-336"},
            "mm_vision_tower = 'openai/.*'",
            "siglip",
        ),
        (ORIGINAL | {"mm_patch_merge_type": "flat"}, "mm_patch_merge_type = 'flat'", "spatial_unpad"),
        (ORIGINAL | {"mm_projector_type": "linear"}, "mm_projector_type = 'linear'", "mlp2x_gelu"),
        (ORIGINAL | {"mm_use_im_start_end": True}, "mm_use_im_start_end = True", "false"),
        (ORIGINAL | {"add_faster_video": True}, "add_faster_video = True", "false"),
        (ORIGINAL | {"mm_resampler_type": "spatial_pool"}, "mm_resampler_type = 'spatial_pool'", "false"),
        (ORIGINAL | {"image_aspect_ratio": "pad"}, "image_aspect_ratio = 'pad'", "anyres_max_"),
        (FIRST_ONEVISION | {"mm_patch_merge_type": "flat"}, "mm_patch_merge_type = 'flat'", "spatial_unpad"),
        (NEXT_VIDEO | {"vision_config": SIGLIP}, "vision_config.model_type = 'siglip_vision_model'", "clip_vision"),
        (NEXT_VIDEO | {"text_config": {"model_type": "gemma"}}, "text_config.model_type = 'gemma'", "llama or mistral"),
        (NEXT_VIDEO | {"spatial_pool_mode": "bilinear"}, "spatial_pool_mode = 'bilinear'", "average, max or conv"),
        (NEXT_VIDEO | {"vision_feature_select_strategy": "full"}, "vision_feature_select_strategy = 'full'", "default"),
        (NEXT_VIDEO | {"vision_feature_layer": -26}, "vision_feature_layer = -26", "from -25 to 24"),
        (NEXT_VIDEO | {"vision_feature_layer": [-2, 25]}, r"vision_feature_layer = \[-2, 25\]", "from -25 to 24"),
        (VIDEO_LLAVA | {"text_config": QWEN}, "text_config.model_type = 'qwen2'", "llama"),
        (VIDEO_LLAVA | {"vision_config": SIGLIP}, "vision_config.model_type = 'siglip_vision_model'", "clip_vision"),
        (INTERLEAVE | {"vision_feature_layer": 27}, "vision_feature_layer = 27", "from -27 to 26"),
        (ONEVISION | {"text_config": LLAMA}, "text_config.model_type = 'llama'", "qwen2"),
        (ONEVISION | {"vision_config": CLIP}, "vision_config.model_type = 'clip_vision_model'", "siglip"),
        (ONEVISION | {"vision_feature_select_strategy": "default"}, "select_strategy = 'default'", "full"),
        (ONEVISION | {"use_image_newline_parameter": False}, "use_image_newline_parameter = False", "True"),
    ],
)
def test_what_a_family_does_not_do_is_named_with_what_it_does(config, said, supported):
    with pytest.raises(ModelError, match=rf"^x: config\.json says .*{said}; it must be .*{supported}"):
        family_of(Checkpoint("x", Path("x"), config))


@pytest.mark.parametrize(
    "changed",
    [
        {"vision_config": CLIP},
        {"vision_config": {}},
        {"vision_feature_layer": -2},
        {"vision_feature_layer": None},
        {"vision_feature_select_strategy": "default"},
        {"spatial_pool_mode": "conv"},
        {"spatial_pool_stride": 3},
        {"newline_position": "spiral"},
    ],
)
@pytest.mark.parametrize("kind", ["llava_next_video", "llava_next_video2"])
def test_where_a_conversion_is_not_the_authors_model_theirs_is_named(changed, kind):
    with pytest.raises(
        ModelError, match=rf"^x: config\.json says .*{next(iter(changed))}.*lmms-lab/LLaVA-Video-7B-Qwen2"
    ):
        family_of(Checkpoint("x", Path("x"), NEXT_VIDEO_2 | {"model_type": kind} | changed))
