# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision: what its config leaves out, and what the 0.5B shares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import tiny
from answering import engine_of, text_of
from pictures import clip, still
from safetensors.torch import load_file

from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import ask
from llava_cli.models.onevision import Onevision

# What the hub's config.json of the 7B says, as far as it matters here.
SEVEN_B = {
    "model_type": "llava_onevision",
    "image_token_index": 151646,
    "video_token_index": 151647,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_config": {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14},
    "text_config": {"model_type": "qwen2", "rope_theta": 1000000.0},
}


def test_canvases_that_the_config_leaves_out():
    seven = Onevision(Checkpoint("test", Path("nowhere"), SEVEN_B))
    assert seven.visual_tokens(still(384, 384)) == 729 + 27 * (27 + 1)
    assert seven.visual_tokens(still(1080, 1920)) == 729 + 60 * (108 + 1)


def test_the_context_that_the_config_leaves_out():
    """As the hub's do."""
    assert Onevision(Checkpoint("test", Path("nowhere"), SEVEN_B)).context == 32768


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


def test_the_authors_own_files_answer_as_the_conversion(checkpoints, tmp_path):
    """Under their names of weights and settings; the conversion's prompt is the authors' where it brings none."""
    own = engine_of(tiny.make("llava-video", tmp_path / "own", onevision=True), dtype="float32")
    conversion = shutil.copytree(
        checkpoints("llava-onevision"), tmp_path / "hf", ignore=shutil.ignore_patterns("chat_template*")
    )
    converted = engine_of(conversion, dtype="float32")
    assert type(own.family) is type(converted.family) is Onevision
    assert own.family.view == converted.family.view
    for media in ([clip(4, 70, 70)], [still(61, 97)], [clip(20, 70, 70), still(40, 400)]):
        assert own.family.prompt(own._tokenizer, ask("Why?", media)).text.startswith("<|im_start|>system\nYou are")
        assert len(text_of(own, media)) > 5
        assert text_of(own, media) == text_of(converted, media)


def test_the_authors_own_0_5b_has_no_output_weights_either(tmp_path):
    folder = tiny.make("llava-video", tmp_path, onevision=True, tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model = engine_of(folder)._model
    assert model.lm_head.weight is model.get_input_embeddings().weight
