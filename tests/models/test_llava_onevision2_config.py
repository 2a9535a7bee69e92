# SPDX-License-Identifier: Apache-2.0
"""What config.json leaves out is what the authors' classes take, which is not what the released checkpoints say."""

from __future__ import annotations

from transformers import Qwen3Config

from llava_cli.models.llava_onevision2_config import LlavaOnevision2Config, LlavaOnevision2VisionConfig


def test_defaults_are_the_authors():
    vision = LlavaOnevision2Config().vision_config
    assert (vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers) == (1024, 4096, 24)
    assert (vision.num_attention_heads, vision.patch_size, vision.spatial_merge_size) == (16, 14, 3)
    assert (vision.hidden_act, vision.layer_norm_eps, vision.rope_theta) == ("gelu", 1e-6, 10000)


def test_parts_are_of_their_classes_whatever_they_call_themselves():
    said = {"text_config": {"model_type": "qwen3", "rope_theta": 8e6}, "vision_config": {"model_type": "x"}}
    config = LlavaOnevision2Config.from_dict(said)
    assert isinstance(config.get_text_config(), Qwen3Config)
    assert isinstance(config.vision_config, LlavaOnevision2VisionConfig)
    assert config.get_text_config().rope_parameters["rope_theta"] == 8e6
    again = LlavaOnevision2Config.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()


def test_how_attention_is_done_reaches_the_language_model():
    config = LlavaOnevision2Config()
    config._attn_implementation = "eager"
    assert config.get_text_config()._attn_implementation == "eager"
