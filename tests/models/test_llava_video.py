# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video: what a checkpoint's config says, and under which names its weights may come."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from answering import engine_of, text_of
from pictures import clip, still
from safetensors.torch import save_file
from tiny.llava_onevision import PINPOINTS
from tiny.llava_video import original_config

from llava_cli.engine.device import choose_dtype
from llava_cli.engine.local import LocalEngine
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.llava_video import LlavaVideo


@pytest.fixture(scope="module")
def folder(checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints("llava-video")


def test_the_model_is_told_the_same_placeholders(engine):
    config = engine._model.config
    assert engine.family.placeholder_ids == {"video": config.video_token_id, "image": config.image_token_id}


def test_float16_is_not_for_its_language_model(engine):
    """Qwen2-7B answers with nothing but exclamation marks in it."""
    assert not engine.family.supports_float16
    assert choose_dtype("auto", "mps", engine.family, 8_000_000_000) == torch.bfloat16


def test_answers_depend_on_the_times(engine):
    seen = clip(8, 70, 70)
    later = dataclasses.replace(seen, times=tuple(time + 0.5 for time in seen.times))
    assert text_of(engine, [later]) != text_of(engine, [seen])


def weights_as_of_old(engine: LocalEngine) -> dict[str, torch.Tensor]:
    """A model's weights under the names that they had in transformers' older files."""
    weights = {}
    for name, weight in engine._model.state_dict().items():
        name = re.sub(r"^model\.(vision_tower)\.", r"\1.vision_model.", name)
        name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
        weights[re.sub(r"^lm_head\.", "language_model.lm_head.", name).removeprefix("model.")] = weight
    return weights


def test_conversions_under_the_older_weight_names_answer_the_same(engine, folder, tmp_path):
    """As converters of LLaVA-OneVision write them."""
    config = engine._model.config.to_dict() | {"architectures": ["LlavaOnevisionForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(weights_as_of_old(engine), tmp_path / "model.safetensors", {"format": "pt"})
    engine._tokenizer.save_pretrained(tmp_path)
    again = engine_of(tmp_path, dtype="float32")
    assert isinstance(again.family, LlavaVideo)
    assert text_of(again, [clip(3, 70, 70)]) == text_of(engine, [clip(3, 70, 70)])


def test_a_conversion_to_the_class_that_was_never_released_answers_as_the_authors_files(engine, folder, tmp_path):
    """Under the names of LLaVA-NeXT-Video's weights, and with its class's settings."""
    text, vision = (engine._model.config.to_dict()[part] for part in ("text_config", "vision_config"))
    config = {
        "architectures": ["LlavaNextVideo2ForConditionalGeneration"], "model_type": "llava_next_video2",
        "text_config": text, "vision_config": vision, "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full", "spatial_pool_mode": "bilinear", "image_grid_pinpoints": PINPOINTS,
        "image_token_index": 151646, "video_token_index": 151647,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(weights_as_of_old(engine), tmp_path / "model.safetensors", {"format": "pt"})
    engine._tokenizer.save_pretrained(tmp_path)
    again = engine_of(tmp_path, dtype="float32")
    assert isinstance(again.family, LlavaVideo)
    assert text_of(again, [clip(3, 70, 70), still(50, 90)]) == text_of(engine, [clip(3, 70, 70), still(50, 90)])


ORIGINAL = {key: value for key, value in original_config().items() if key != "vision_config"}
CONVERTED = {"model_type": "llava_onevision", "vision_config": {}, "text_config": {"model_type": "qwen2"}}


@pytest.mark.parametrize("key", ["mm_spatial_pool_mode", "mm_newline_position"])
def test_what_no_released_code_does_is_refused(key):
    with pytest.raises(ModelError, match=f"{key} = 'spiral'"):
        LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | {key: "spiral"}))


@pytest.mark.parametrize(
    ("mode", "newlines", "tokens"),
    [
        (None, None, 210),
        ("average", "grid", 182),
        ("max", "frame", 170),
        ("bilinear", "frame", 197),
        ("bilinear", "one_token", 197),
        ("average", "no_token", 169),
    ],
)
def test_tokens_of_a_frame(mode, newlines, tokens):
    settings = {"mm_spatial_pool_mode": mode, "mm_newline_position": newlines}
    family = LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | settings))
    assert family.visual_tokens(clip(1, 384, 384)) == tokens


def test_ids_that_a_conversion_chose():
    config = CONVERTED | {"mm_newline_position": "grid", "video_token_index": 7, "image_token_index": 8}
    assert LlavaVideo(Checkpoint("test", Path("nowhere"), config)).placeholder_ids == {"video": 7, "image": 8}
