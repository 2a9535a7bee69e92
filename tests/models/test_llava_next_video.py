# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Video: geometry from the checkpoint's own config, the template of its language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import clip

from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.llava_next_video import MISTRAL, VICUNA, YI, LlavaNextVideo
from llava_cli.models.published import PUBLISHED

SEVEN_B = PUBLISHED["next-video-7b"].config


def family(config: dict, folder: Path = Path("nowhere")) -> LlavaNextVideo:
    return LlavaNextVideo(Checkpoint("test", folder, config))


def test_geometry_is_never_assumed():
    other = family(SEVEN_B | {"vision_config": {"image_size": 224, "patch_size": 14}, "spatial_pool_stride": 4})
    assert other.view.size == (224, 224)
    assert other.visual_tokens(clip(2, 224, 224)) == 2 * 16


def test_frames_that_the_checkpoint_asks_for(tmp_path):
    (tmp_path / "processor_config.json").write_text(json.dumps({"video_processor": {"num_frames": 8}}))
    assert family(SEVEN_B, tmp_path).view.sampling.frames == 8


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ({"model_type": "llama", "vocab_size": 32064}, VICUNA),
        ({"model_type": "mistral", "vocab_size": 32064}, MISTRAL),
        ({"model_type": "llama", "vocab_size": 64064}, YI),
    ],
)
def test_the_published_template_follows_the_language_model(text, template):
    assert family(SEVEN_B | {"text_config": text}).template == template


@pytest.mark.parametrize("words", [49152, 128256, 151936])
def test_a_language_model_of_an_unknown_vocabulary_is_not_asked_in_yi_s_words(words):
    other = family(SEVEN_B | {"text_config": {"model_type": "llama", "vocab_size": words}})
    with pytest.raises(
        ModelError, match=rf"^test: config\.json says text_config\.vocab_size = {words}; .*chat template"
    ):
        _ = other.template


def test_positions_that_are_stretched_lengthen_the_context_and_others_do_not():
    """The 7B's file has a stray `type` beside its language model's settings, as has the DPO's, which stretches none."""
    text = {"model_type": "llama", "max_position_embeddings": 4096, "type": "linear", "factor": 2.0}
    stretched = text | {"rope_scaling": {"factor": 2.5, "type": "linear"}}
    assert family(SEVEN_B | {"text_config": stretched}).context == 10240
    plain = family(SEVEN_B | {"text_config": text | {"rope_scaling": None}})
    assert (plain.context, plain.view.sampling.frames) == (4096, 24)
