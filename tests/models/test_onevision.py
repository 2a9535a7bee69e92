# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision: what its config leaves out, and what the 0.5B shares."""

from __future__ import annotations

import json
from pathlib import Path

import tiny
from answering import engine_of
from pictures import still
from safetensors.torch import load_file

from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.onevision import Onevision

# What the hub's config.json of the 7B says, as far as it matters here.
SEVEN_B = {
    "model_type": "llava_onevision",
    "image_token_index": 151646,
    "video_token_index": 151647,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_config": {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14},
    "text_config": {"model_type": "qwen2", "max_position_embeddings": 32768, "rope_theta": 1000000.0},
}


def test_canvases_that_the_config_leaves_out():
    seven = Onevision(Checkpoint("test", Path("nowhere"), SEVEN_B))
    assert seven.visual_tokens(still(384, 384)) == 729 + 27 * (27 + 1)
    assert seven.visual_tokens(still(1080, 1920)) == 729 + 60 * (108 + 1)


def test_frames_that_the_checkpoint_asks_for(tmp_path):
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({"num_frames": 16}))
    assert Onevision(Checkpoint("test", tmp_path, SEVEN_B)).view.sampling.frames == 16


def test_the_0_5b_s_output_weights_are_its_embeddings(checkpoints, tmp_path):
    """And its files, which have the released ones' names, hold them once."""
    untied, tied = checkpoints("llava-onevision"), tiny.make("llava-onevision", tmp_path, tied=True)
    names, fewer = (set(load_file(folder / "model.safetensors")) for folder in (untied, tied))
    assert names - fewer == {"language_model.lm_head.weight"}
    assert {"image_newline", "language_model.model.norm.weight"} <= fewer
    model = engine_of(tied)._model
    assert model.lm_head.weight is model.get_input_embeddings().weight
