# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision: the published recipe's tokens, as many placeholders as features, prompts in the trained form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import recipes
import tiny_qwen
import torch
from answering import answers_of, engine_of, layers_in_4_bit, mixed_asks, text_of
from pictures import altered, clip, still
from PIL import Image
from tiny_parts import siglip_preprocessor
from tiny_qwen import IMAGE_SIZE, PINPOINTS
from transformers import LlavaOnevisionForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import Conversation, Turn, ask
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_onevision(tmp_path_factory.mktemp("onevision"))


@pytest.fixture(scope="module")
def recipe(folder: Path) -> recipes.Recipe:
    """The published snippet: nine tokens a frame and a newline for a clip, stills in tiles."""
    preprocessing = siglip_preprocessor(IMAGE_SIZE)
    return recipes.frames_and_tiles(
        LlavaOnevisionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval(),
        PreTrainedTokenizerFast.from_pretrained(folder),
        frames=SiglipImageProcessorPil(**preprocessing),
        tiles=LlavaOnevisionImageProcessorPil(**preprocessing, image_grid_pinpoints=PINPOINTS),
        tokens_of=lambda seen: len(seen.frames) * 9 + 1,
    )


VIDEO_AND_TEXT = "<|im_start|>user <video>\nWhy?<|im_end|><|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("media", "prompt"),
    [
        ([clip(8, 90, 120)], VIDEO_AND_TEXT),
        ([clip(16, 120, 75)], VIDEO_AND_TEXT),
        ([clip(32, 71, 99)], VIDEO_AND_TEXT),
        ([clip(1, IMAGE_SIZE, IMAGE_SIZE)], VIDEO_AND_TEXT),
        ([still(97, 61)], VIDEO_AND_TEXT.replace("video", "image")),
        ([still(211, 640)], VIDEO_AND_TEXT.replace("video", "image")),
        ([still(400, 410)], VIDEO_AND_TEXT.replace("video", "image")),
        ([clip(4, 60, 60), clip(4, 60, 60, seed=1)], VIDEO_AND_TEXT.replace("<video>", "<video><video>")),
        ([still(50, 171), clip(5, 60, 90)], VIDEO_AND_TEXT.replace("<video>", "<image><video>")),
    ],
)
def test_answers_are_the_published_recipe_s(engine, recipe, media, prompt):
    expected = recipe(prompt, media)
    assert len(expected) > 5
    assert text_of(engine, media) == expected


def test_answers_depend_on_frames_order_colours_and_question(engine):
    seen = clip(8, 70, 70)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_batch_answers_as_one_by_one(engine):
    asks = mixed_asks(70)
    single = [answers_of(engine, [one])[0].text for one in asks]
    assert [answer.text for answer in answers_of(engine, asks)] == single


def test_4_bit_answers_on_the_cpu_and_survives_saving(folder, tmp_path):
    engine = engine_of(folder, quantization="4bit")
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    answer = text_of(engine, [clip(4, 70, 70)])
    assert answer
    engine._model.save_pretrained(tmp_path)
    engine._tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(tiny_qwen.TEMPLATE)
    again = engine_of(tmp_path)
    assert text_of(again, [clip(4, 70, 70)]) == answer


def test_the_0_5b_s_output_weights_are_its_embeddings(tmp_path):
    folder = tiny_qwen.make_onevision(tmp_path, tied=True)
    model = engine_of(folder)._model
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_the_7b_s_geometry():
    seven = Onevision(Checkpoint("test", Path("nowhere"), SEVEN_B))
    assert Onevision.recognizes(SEVEN_B)
    assert seven.view.size == (384, 384)
    assert seven.view.fit == "squash"
    assert (seven.view.sampling.policy, seven.view.sampling.frames) == ("linspace", 32)
    assert seven.visual_tokens(clip(32, 384, 384)) == 32 * 196 + 1
    assert seven.visual_tokens(still(384, 384)) == 729 + 27 * (27 + 1)
    assert seven.visual_tokens(still(1080, 1920)) == 729 + 60 * (108 + 1)  # of 75 rows by 135
    assert seven.context == 32768
    assert seven.placeholder_ids == {"video": 151647, "image": 151646}


def test_frames_that_the_checkpoint_asks_for(tmp_path):
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({"num_frames": 16}))
    assert Onevision(Checkpoint("test", tmp_path, SEVEN_B)).view.sampling.frames == 16


def test_stills_of_any_size_take_as_many_tokens_as_they_have_features(engine):
    """Whatever the padding, the rounding and the limit of nine tiles' worth do to them."""
    sizes = [
        *np.random.default_rng(0).integers(9, 500, (16, 2)).tolist(),
        [70, 70],
        [1, 300],
        [300, 1],
        [420, 420],
        [280, 182],
    ]
    with torch.inference_mode():
        for height, width in sizes:
            seen = still(height, width)
            assert len(engine.family.encode(engine._model, seen)) == engine.family.visual_tokens(seen), (height, width)


@pytest.mark.parametrize("frames", [1, 16, 17, 37])
def test_long_clips_are_encoded_in_parts_to_the_same_features(engine, frames):
    long = clip(frames, 70, 70)
    with torch.inference_mode():
        whole = engine._model.get_video_features(engine.family.clip_pixels(long)[None]).pooler_output[0]
        assert torch.allclose(engine.family.encode(engine._model, long), whole, atol=1e-5)
    assert len(whole) == engine.family.visual_tokens(long)


def test_full_size_frames_are_squeezed_as_the_authors_do(engine):
    seen = clip(2, 90, 131)
    scaled = Image.fromarray(seen.frames[1]).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    expected = ((np.asarray(scaled, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)
    assert np.abs(engine.family.clip_pixels(seen)[1].numpy() - expected).max() < 1e-5


HISTORY = Conversation(
    (
        Turn("system", ("Be brief.",)),
        Turn("user", (still(70, 70), "What is it?")),
        Turn("assistant", ("A cat.",)),
        Turn("user", (clip(2, 70, 70), "And here?")),
    )
)
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


@pytest.mark.parametrize(
    ("asked", "golden"),
    [
        (
            ask("Why?", [clip(2, 70, 70)]),
            SYSTEM + "<|im_start|>user\n<video>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("Compare.", [still(70, 70), still(70, 90, 1), clip(2, 70, 70)]),
            SYSTEM + "<|im_start|>user\n<image>\n<image>\n<video>\nCompare.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            HISTORY,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n"
            "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\n<video>\nAnd here?<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ],
)
def test_prompts_without_a_template_of_the_checkpoint_s_own(tmp_path, asked, golden):
    config = SEVEN_B | {"vision_config": tiny_qwen.VISION, "image_grid_pinpoints": PINPOINTS}
    prompt = Onevision(Checkpoint("test", tmp_path, config)).prompt(tiny_qwen.qwen_tokenizer(), asked)
    assert (prompt.text, prompt.template) == (golden, "family")
    assert sum(prompt.ids.count(number) for number in (151646, 151647)) == sum(prompt.visual_tokens)
