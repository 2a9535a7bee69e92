# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video: the original authors' numbers from their own files, and what a checkpoint's config says.

`tests/data/llava_video.npz` holds what their code (github.com/LLaVA-VL/LLaVA-NeXT at df17966) computes with the random
weights in `llava_video.safetensors`, in float32 on the CPU.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from answering import engine_of, text_of
from pictures import clip
from safetensors.torch import load_file, save_file
from tiny.llava_onevision import VISION
from tiny.llava_video import original_config

from llava_cli.engine.local import LocalEngine
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.llava_video import LlavaVideo

DATA = Path(__file__).parents[1] / "data"
# The tower that the vectors were made with.
TOWER = VISION | {"image_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(DATA / "llava_video.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def folder(checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints("llava-video")


# The authors' numbers


@pytest.mark.parametrize(
    ("mode", "newlines"),
    [
        ("bilinear", "grid"),
        ("bilinear", "frame"),
        ("bilinear", "one_token"),
        ("bilinear", "no_token"),
        ("average", "grid"),
        ("max", "grid"),
    ],
)
def test_visual_tokens_logits_and_answers_are_the_authors(tmp_path, expected, mode, newlines):
    folder = tiny.make(
        "llava-video",
        tmp_path,
        weights=load_file(DATA / "llava_video.safetensors"),
        vision_config=TOWER,
        mm_spatial_pool_mode=mode,
        mm_newline_position=newlines,
    )
    engine = engine_of(folder, dtype="float32")
    assert isinstance(engine.family, LlavaVideo)
    seen = dataclasses.replace(clip(*expected["frames"].shape[:3]), frames=expected["frames"])
    assert np.abs(engine.family.clip_pixels(seen)[:, :, ::6, ::6].numpy() - expected["pixel_values_sub"]).max() < 1e-6
    with torch.inference_mode():
        visual = engine.family.encode(engine._model, seen)
    vector = expected[f"vis_{mode}_{newlines}"]
    assert visual.shape == vector.shape
    assert len(visual) == engine.family.visual_tokens(seen)
    assert np.abs(visual.numpy() - vector).max() < 2e-5
    if (mode, newlines) == ("bilinear", "grid"):
        check_language(engine, visual, expected)


def check_language(engine: LocalEngine, visual: torch.Tensor, expected: dict[str, np.ndarray]) -> None:
    """The logits after the video, and the answer."""
    embed = engine._model.get_input_embeddings()
    before, after = (embed(torch.from_numpy(expected[name])) for name in ("ids_pre", "ids_post"))
    prompt = torch.cat((before, visual, after))[None]
    with torch.inference_mode():
        logits = engine._model(inputs_embeds=prompt).logits[0, -len(after) :]
        answer = engine._model.generate(
            inputs_embeds=prompt, attention_mask=torch.ones(prompt.shape[:2]), max_new_tokens=12, do_sample=False
        )
    assert np.abs(logits.numpy() - expected["logits_tail"]).max() < 1e-4
    assert answer[0].tolist() == expected["greedy"].tolist()


@pytest.mark.parametrize("mode", ["bilinear", "average", "max"])
@pytest.mark.parametrize("newlines", ["grid", "frame", "one_token", "no_token"])
def test_long_clips_are_encoded_in_parts_to_as_many_features_as_placeholders(engine, monkeypatch, mode, newlines):
    family = LlavaVideo(
        Checkpoint(
            "test",
            engine.family.checkpoint.folder,
            original_config(mm_spatial_pool_mode=mode, mm_newline_position=newlines),
        )
    )
    monkeypatch.setattr(engine._model.config, "mm_spatial_pool_mode", mode)
    monkeypatch.setattr(engine._model.config, "mm_newline_position", newlines)
    long = clip(18, 70, 70)
    with torch.inference_mode():
        whole = engine._model.get_video_features(family.clip_pixels(long)[None]).pooler_output[0]
        assert torch.allclose(family.encode(engine._model, long), whole, atol=1e-5)
    assert len(whole) == family.visual_tokens(long)


# The engine's answers


def test_answers_depend_on_the_times(engine):
    seen = clip(8, 70, 70)
    later = dataclasses.replace(seen, times=tuple(time + 0.5 for time in seen.times))
    assert text_of(engine, [later]) != text_of(engine, [seen])


def test_conversions_under_the_older_weight_names_answer_the_same(engine, folder, tmp_path):
    """As converters of LLaVA-OneVision write them."""
    config = engine._model.config.to_dict() | {"architectures": ["LlavaOnevisionForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = {}
    for name, weight in engine._model.state_dict().items():
        name = re.sub(r"^model\.(vision_tower)\.", r"\1.vision_model.", name)
        name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
        weights[re.sub(r"^lm_head\.", "language_model.lm_head.", name).removeprefix("model.")] = weight
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    engine._tokenizer.save_pretrained(tmp_path)
    again = engine_of(tmp_path, dtype="float32")
    assert isinstance(again.family, LlavaVideo)
    assert text_of(again, [clip(3, 70, 70)]) == text_of(engine, [clip(3, 70, 70)])


# The checkpoint's own words

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


def test_canvases_are_read_as_width_and_height():
    family = LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | {"image_grid_pinpoints": [[384, 768]]}))
    assert family.checkpoint.config["image_grid_pinpoints"] == [[768, 384]]
