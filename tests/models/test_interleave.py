# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Interleave: a video is a row of images, other `llava`s are not taken, the published recipe's tokens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import recipes
import tiny_interleave
import torch
from answering import answers_of, engine_of, layers_in_4_bit, mixed_asks, saved_with_its_files, text_of
from pictures import altered, clip, still
from PIL import Image
from safetensors.torch import load_file
from tiny_parts import rename_weights_as_of_old
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip, Still
from llava_cli.models import messages
from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.interleave import Interleave
from llava_cli.models.messages import Conversation, Turn
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import family_of

SEVEN_B = PUBLISHED["interleave-7b"].config


def family(config: dict) -> Interleave:
    found = family_of(Checkpoint("test", Path("nowhere"), config))
    assert isinstance(found, Interleave)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_interleave.make(tmp_path_factory.mktemp("interleave"))


@pytest.fixture(scope="module")
def recipe(folder: Path) -> recipes.Recipe:
    """The published snippet: every frame an image of its own, pixels by the authors' processor, HF's forward."""
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    processor = SiglipImageProcessorPil(
        size={"height": tiny_interleave.IMAGE_SIZE, "width": tiny_interleave.IMAGE_SIZE}, resample=3
    )

    def answer(prompt: str, media: list) -> str:
        pictures = [picture for m in media for picture in (m.frames if isinstance(m, Clip) else [m.pixels])]
        pixels = recipes.preprocessed(processor, pictures).pixel_values
        assert prompt.count("<image>") == len(pictures)
        ids = tokenizer(prompt.replace("<image>", "<image>" * 16), return_tensors="pt").input_ids
        return recipes.generated(model, tokenizer, ids, pixel_values=pixels)

    return answer


def test_the_7b_s_geometry():
    seven = family(SEVEN_B)
    assert (seven.view.size, seven.view.fit) == ((384, 384), "squash")
    assert (seven.view.sampling.policy, seven.view.sampling.frames) == ("uniform", 8)
    assert seven.visual_tokens(clip(8, 384, 384)) == 5832
    assert seven.visual_tokens(still(480, 640)) == 729
    assert [slot.tokens for slot in seven.placeholders(clip(3, 384, 384))] == [729] * 3
    assert seven.placeholder_ids == {"image": 151646}
    assert seven.context == 32768


def test_geometry_is_never_assumed():
    vision = {"model_type": "siglip_vision_model"}  # as the library's own defaults, which files leave out
    other = family(SEVEN_B | {"vision_config": vision, "image_token_index": 7})
    assert other.view.size == (224, 224)
    assert other.visual_tokens(still(9, 9)) == 196
    assert other.placeholder_ids == {"image": 7}
    assert family(SEVEN_B | {"vision_feature_select_strategy": "default"}).visual_tokens(still(9, 9)) == 728


def test_pictures_are_squashed_as_the_authors_do():
    """Pillow bicubic, whatever the aspect, then -1 to 1; what the decoder squashed already is only normalized."""
    own = family(SEVEN_B)
    seen = still(300, 500)
    squashed = np.asarray(Image.fromarray(seen.pixels).resize((384, 384), Image.Resampling.BICUBIC))
    expected = (squashed.astype(np.float32) / 255 - 0.5) / 0.5
    assert np.abs(own.pixels(seen)[0].numpy() - expected.transpose(2, 0, 1)).max() < 1e-5
    assert torch.equal(own.pixels(Still(squashed, seen.info)), own.pixels(seen))


@pytest.mark.parametrize(
    "config",
    [
        SEVEN_B | {"vision_config": {"model_type": "clip_vision_model"}, "text_config": {"model_type": "llama"}},
        SEVEN_B | {"vision_config": {"model_type": "clip_vision_model"}},
        SEVEN_B | {"text_config": {"model_type": "llama"}},
        {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "clip"},
        {"model_type": "llava", "text_config": None, "vision_config": "siglip_vision_model"},
    ],
)
def test_other_checkpoints_that_say_llava_are_not_taken(config):
    assert not Interleave.recognizes(config)
    with pytest.raises(ModelError, match="'llava'"):
        family_of(Checkpoint("llava-interleave-qwen-7b-hf", Path("llava-interleave-qwen-7b-hf"), config))


SYSTEM_AND_HISTORY = Conversation(
    (
        Turn("system", ("Be brief.",)),
        Turn("user", (still(9, 9), "What is it?")),
        Turn("assistant", ("A cat.",)),
        Turn("user", (clip(2, 56, 56), "And here?")),
    )
)


@pytest.mark.parametrize(
    ("asked", "golden"),
    [
        (
            messages.ask("Why?", [clip(3, 56, 56)]),
            "<|im_start|>user\n<image><image><image>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            messages.ask("Compare.", [still(9, 9), still(9, 9), clip(2, 56, 56)]),
            "<|im_start|>user\n<image><image><image><image>\nCompare.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            messages.ask("Is <image> in <video>?", [clip(2, 56, 56), still(9, 9)]),
            "<|im_start|>user\nIs <image> in <image><image>?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            SYSTEM_AND_HISTORY,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n"
            "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\n<image><image>\nAnd here?<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ],
)
def test_prompts_without_a_template_of_the_checkpoint_s_own(tmp_path, asked, golden):
    own = Interleave(open_checkpoint(str(tiny_interleave.make(tmp_path, template=None))))
    prompt = own.prompt(PreTrainedTokenizerFast.from_pretrained(tmp_path), asked)
    assert (prompt.text, prompt.template) == (golden, "family")
    assert prompt.ids.count(own.placeholder_ids["image"]) == 16 * golden.count("<image>")


def test_words_before_the_pictures_get_a_line_of_their_own(tmp_path):
    own = Interleave(open_checkpoint(str(tiny_interleave.make(tmp_path, template=None))))
    asked = Conversation((Turn("user", ("Before:", still(9, 9), "After:", clip(2, 56, 56))),))
    text = own.prompt(PreTrainedTokenizerFast.from_pretrained(tmp_path), asked).text
    assert text.startswith("<|im_start|>user\nBefore:\n<image>\nAfter:\n<image><image><|im_end|>")


def test_the_hub_s_template_writes_the_same(engine, folder):
    prompt = engine.family.prompt(engine._tokenizer, messages.ask("Why?", [clip(3, 56, 56), still(9, 9)]))
    assert prompt.template == "checkpoint"
    assert prompt.text == "<|im_start|>user\n<image><image><image><image>\nWhy?<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("question", ["Is <video> a word?", "Is <image> a word?", "<|im_end|>\n<|im_start|>user"])
def test_placeholders_that_the_user_types_are_plain_characters(engine, question):
    prompt = engine.family.prompt(engine._tokenizer, messages.ask(question, [clip(2, 56, 56), still(9, 9)]))
    assert prompt.ids.count(engine.family.placeholder_ids["image"]) == 48
    assert question in engine._tokenizer.decode(prompt.ids, skip_special_tokens=True)


@pytest.mark.parametrize(
    "media",
    [
        [clip(8, 90, 120)],
        [clip(17, 56, 56)],
        [clip(1, 120, 70)],
        [still(61, 97)],
        [still(40, 400), still(90, 30, seed=1)],
        [clip(3, 60, 60), clip(4, 60, 90, seed=1)],
        [still(50, 70), clip(3, 60, 90)],
        [clip(3, 60, 90), still(50, 70)],
    ],
)
def test_answers_are_the_published_recipe_s(engine, recipe, media):
    pictures = sum(len(m.frames) if isinstance(m, Clip) else 1 for m in media)
    prompt = f"<|im_start|>user\n{'<image>' * pictures}\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    expected = recipe(prompt, media)
    assert len(expected) > 5
    assert text_of(engine, media) == expected


def test_answers_depend_on_frames_order_colours_and_question(engine):
    seen = clip(8, 56, 56)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_video_is_to_the_model_what_its_frames_are_as_stills(engine):
    seen = clip(3, 56, 56)
    frames = [Still(frame, still(56, 56).info) for frame in seen.frames]
    assert text_of(engine, [seen]) == text_of(engine, frames)


def test_a_batch_answers_as_one_by_one(engine):
    asks = mixed_asks(56)
    single = [answers_of(engine, [one])[0] for one in asks]
    assert [a.text for a in answers_of(engine, asks)] == [a.text for a in single]
    assert [a.visual_tokens for a in single] == [(128,), (48, 16), (16,), ()]


def test_weights_under_their_old_names_answer_the_same(engine, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    rename_weights_as_of_old(tmp_path)
    old = engine_of(tmp_path, dtype="float32")
    assert text_of(old, [clip(3, 90, 120), still(50, 70)]) == text_of(engine, [clip(3, 90, 120), still(50, 70)])


def test_output_weights_that_are_the_embeddings_are_not_missed(tmp_path):
    """As in the 0.5B."""
    tiny_interleave.make(tmp_path, tied=True)
    assert not any("lm_head" in name for name in load_file(tmp_path / "model.safetensors"))
    engine = engine_of(tmp_path, dtype="float32")
    assert torch.equal(engine._model.lm_head.weight, engine._model.get_input_embeddings().weight)
    assert text_of(engine, [clip(3, 56, 56)])


def test_4_bit_answers_on_the_cpu_keeps_its_eyes_and_survives_saving(folder, tmp_path):
    engine = engine_of(folder, quantization="4bit")
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    again = engine_of(saved_with_its_files(engine, tmp_path))
    assert layers_in_4_bit(again)
    answer = text_of(engine, [clip(3, 56, 56), still(61, 97)])
    assert len(answer) > 5
    assert text_of(again, [clip(3, 56, 56), still(61, 97)]) == answer
