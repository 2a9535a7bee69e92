# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video's model: the original authors' numbers from their own files, in every way to pool and break lines.

`tests/data/llava_video.npz` holds what their code (github.com/LLaVA-VL/LLaVA-NeXT at df17966) computes with the random
weights in `llava_video.safetensors`, in float32 on the CPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from answering import engine_of
from pictures import clip
from safetensors.torch import load_file
from tiny.llava_onevision import VISION
from tiny.llava_video import original_config

from llava_cli.engine.local import LocalEngine
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
