# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Interleave: a video is a row of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from answering import engine_of, text_of
from pictures import clip, still
from safetensors.torch import load_file

from llava_cli.media.clip import Still
from llava_cli.models import prompt as prompts
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.interleave import QWEN, Interleave
from llava_cli.models.messages import Conversation, Turn, ask
from llava_cli.models.published import PUBLISHED

SEVEN_B = PUBLISHED["interleave-7b"].config


def family(config: dict) -> Interleave:
    return Interleave(Checkpoint("test", Path("nowhere"), config))


@pytest.fixture(scope="module")
def folder(checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints("llava-interleave")


def test_geometry_is_never_assumed():
    vision = {"model_type": "siglip_vision_model"}  # as the library's own defaults, which files leave out
    other = family(SEVEN_B | {"vision_config": vision, "image_token_index": 7})
    assert other.view.size == (224, 224)
    assert other.visual_tokens(still(9, 9)) == 196
    assert other.placeholder_ids == {"image": 7}
    assert family(SEVEN_B | {"vision_feature_select_strategy": "default"}).visual_tokens(still(9, 9)) == 728


def test_every_frame_has_a_placeholder_of_its_own():
    assert [slot.tokens for slot in family(SEVEN_B).placeholders(clip(3, 384, 384))] == [729] * 3


@pytest.mark.parametrize(
    ("asked", "golden"),
    [
        (ask("Is <image> in <video>?", [clip(2, 56, 56), still(9, 9)]), "Is <image> in <image><image>?"),
        (
            Conversation((Turn("user", ("Before:", still(9, 9), "After:", clip(2, 56, 56))),)),
            "Before:\n<image>\nAfter:\n<image><image>",
        ),
    ],
)
def test_words_before_the_pictures_get_a_line_of_their_own(engine, asked, golden):
    """Where the user did not place the pictures inside the sentence."""
    pieces = prompts.render(engine._tokenizer, QWEN, asked.turns, engine.family.placeholders)
    assert prompts.readable(pieces) == f"<|im_start|>user\n{golden}<|im_end|>\n<|im_start|>assistant\n"


def test_a_video_is_to_the_model_what_its_frames_are_as_stills(engine):
    seen = clip(3, 56, 56)
    frames = [Still(frame, still(56, 56).info) for frame in seen.frames]
    assert text_of(engine, [seen]) == text_of(engine, frames)


def test_output_weights_that_are_the_embeddings_are_not_missed(tmp_path):
    """As in the 0.5B."""
    tiny.make("llava-interleave", tmp_path, tied=True)
    assert not any("lm_head" in name for name in load_file(tmp_path / "model.safetensors"))
    engine = engine_of(tmp_path, dtype="float32")
    assert torch.equal(engine._model.lm_head.weight, engine._model.get_input_embeddings().weight)
    assert text_of(engine, [clip(3, 56, 56)])
