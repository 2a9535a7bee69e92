# SPDX-License-Identifier: Apache-2.0
"""What the engine promises: the published recipe's tokens, batched as one by one, nothing from anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import recipes
import torch
from answering import (
    GREEDY,
    answers_of,
    engine_of,
    layers_in_4_bit,
    mixed_asks,
    saved_with_its_files,
    streamed,
    text_of,
)
from pictures import altered, clip, still
from tiny_parts import clip_preprocessor
from transformers import LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Generation, Timing
from llava_cli.errors import ModelError, OutOfMemory
from llava_cli.models import messages
from llava_cli.models.messages import Conversation, Turn
from llava_cli.models.prompt import Placeholder


@pytest.fixture(scope="module")
def recipe(folder: Path) -> recipes.Recipe:
    """LLaVA-NeXT-Video's published snippet: four tokens a frame, stills in tiles."""
    model = LlavaNextVideoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    preprocessing = clip_preprocessor(model.config.vision_config.image_size)
    return recipes.frames_and_tiles(
        model,
        PreTrainedTokenizerFast.from_pretrained(folder),
        frames=CLIPImageProcessorPil(**preprocessing),
        tiles=LlavaNextImageProcessorPil(**preprocessing, image_grid_pinpoints=model.config.image_grid_pinpoints),
        tokens_of=lambda seen: len(seen.frames) * 4,
    )


@pytest.mark.parametrize(
    ("media", "prompt"),
    [
        ([clip(8, 90, 120)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(16, 90, 121)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(32, 57, 200)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(17, 120, 70)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(1, 56, 56)], "USER: <video>\nWhy? ASSISTANT:"),
        ([still(120, 80)], "USER: <image>\nWhy? ASSISTANT:"),
        ([still(61, 97)], "USER: <image>\nWhy? ASSISTANT:"),
        ([still(40, 400)], "USER: <image>\nWhy? ASSISTANT:"),
        ([still(64, 64), still(90, 30, seed=1)], "USER: <image>\n<image>\nWhy? ASSISTANT:"),
        ([clip(4, 60, 60), clip(4, 60, 60, seed=1)], "USER: <video>\n<video>\nWhy? ASSISTANT:"),
        ([still(50, 70), clip(5, 60, 90)], "USER: <image>\n<video>\nWhy? ASSISTANT:"),
        ([clip(5, 60, 90), still(50, 70)], "USER: <video>\n<image>\nWhy? ASSISTANT:"),
    ],
)
def test_answers_are_the_published_recipe_s(engine, recipe, media, prompt):
    expected = recipe(prompt, media)
    assert len(expected) > 5
    assert text_of(engine, media) == expected


def test_three_turns_under_a_system_prompt_are_the_published_recipe_s(engine, recipe):
    first, second = still(50, 70), clip(8, 60, 90)
    turns = (
        Turn("system", ("Be polite.",)),
        Turn("user", (first, "What is this?")),
        Turn("assistant", ("A stop sign.",)),
        Turn("user", ("Are you sure?",)),
        Turn("assistant", ("Yes.",)),
        Turn("user", (second, "Why is this video funny?")),
    )
    prompt = (
        "Be polite. USER: <image>\nWhat is this? ASSISTANT: A stop sign. USER: Are you sure? ASSISTANT: Yes. "
        "USER: <video>\nWhy is this video funny? ASSISTANT:"
    )
    assert answers_of(engine, [Conversation(turns)], GREEDY)[0].text == recipe(prompt, [first, second])


def test_answers_depend_on_frames_order_colours_and_question(engine):
    seen = clip(8, 56, 56)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_batch_answers_as_one_by_one(engine):
    system = messages.ask("What?", [clip(1, 56, 56, seed=3)], system="Answer in one word.")
    asks = [*mixed_asks(56), system]
    single = [answers_of(engine, [one], GREEDY)[0] for one in asks]
    batch = answers_of(engine, asks, GREEDY)
    assert [a.text for a in batch] == [a.text for a in single]
    assert [a.prompt_tokens for a in batch] == [a.prompt_tokens for a in single]


def test_a_shared_medium_is_encoded_once(engine, monkeypatch):
    encoded = []
    encode = engine.family.encode
    monkeypatch.setattr(engine.family, "encode", lambda model, medium: encoded.append(medium) or encode(model, medium))
    seen = clip(4, 56, 56)
    answers_of(engine, [messages.ask(q, [seen]) for q in ("Why?", "How?", "Who?")], GREEDY)
    assert encoded == [seen]


def test_streamed_pieces_join_to_the_answer(engine):
    pieces, answer = streamed(engine, messages.ask("Why?", [clip(8, 56, 56)]), Generation(48))
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text


def test_greedy_by_default_whatever_the_checkpoint_s_own_settings(engine, folder):
    assert '"do_sample": true' in (folder / "generation_config.json").read_text()
    assert len({text_of(engine, [clip(8, 56, 56)]) for _ in range(3)}) == 1


def test_sampling_follows_its_seed(engine):
    def sampled(seed: int) -> str:
        return text_of(engine, [clip(8, 56, 56)], generation=Generation(16, temperature=1.5, seed=seed))

    assert sampled(1) == sampled(1)
    assert len({sampled(seed) for seed in range(4)}) > 1


def test_length_and_stop_are_told_apart(engine, monkeypatch):
    ask = messages.ask("Why?", [clip(8, 56, 56)])
    long = answers_of(engine, [ask], Generation(8))[0]
    assert (long.finish_reason, long.completion_tokens) == ("length", 8)
    third = answers_of(engine, [ask], Generation(3))[0]
    ids = engine._tokenizer(third.text, add_special_tokens=False).input_ids
    first_id = generated_ids(engine, ask, 3)[2]
    monkeypatch.setattr(engine, "_stop_ids", frozenset([first_id]))
    stopped = answers_of(engine, [ask], Generation(8))[0]
    assert stopped.finish_reason == "stop"
    assert stopped.completion_tokens <= 2
    assert ids


def generated_ids(engine: LocalEngine, ask: messages.Conversation, count: int) -> list[int]:
    from llava_cli.engine import generate

    with torch.inference_mode():
        embeddings = engine._embed([engine.family.prompt(engine._tokenizer, ask)], Timing())
        return [tokens[0] for tokens in generate.next_tokens(engine._model, embeddings, Generation(count), frozenset())]


def test_more_placeholders_than_features_is_an_error_not_an_answer(engine, monkeypatch):
    monkeypatch.setattr(engine.family, "placeholders", lambda medium: (Placeholder(medium, "video", 31),))
    with pytest.raises(ModelError, match="31 placeholders"):
        text_of(engine, [clip(8, 56, 56)])


def test_a_receipt_counts_what_was_shown(engine):
    answer = answers_of(engine, [messages.ask("Why?", [clip(8, 56, 56), still(61, 97)])], GREEDY)[0]
    assert answer.visual_tokens == (32, 70)
    assert [m.info.kind for m in answer.media] == ["video", "image"]
    assert answer.prompt_tokens > 102
    assert answer.template == "checkpoint"


def test_running_out_of_memory_is_its_own_error(engine, monkeypatch):
    def exhausted(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(engine.family, "encode", exhausted)
    with pytest.raises(OutOfMemory, match="--frames"):
        text_of(engine, [clip(8, 56, 56)])


def test_4_bit_answers_on_the_cpu_and_keeps_its_eyes_in_16_bit(folder):
    engine = engine_of(folder, quantization="4bit")
    assert engine.info.quantization == "nf4"
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    assert text_of(engine, [clip(8, 56, 56)])


def test_a_4_bit_checkpoint_survives_saving(folder, tmp_path):
    engine = engine_of(folder, quantization="4bit")
    again = engine_of(saved_with_its_files(engine, tmp_path), dtype="float32")
    assert again.info.quantization == "nf4"
    assert text_of(again, [clip(8, 56, 56)]) == text_of(engine, [clip(8, 56, 56)])


def test_8_bit_answers_on_the_cpu(folder):
    engine = engine_of(folder, quantization="8bit")
    assert engine.info.quantization == "int8"
    assert text_of(engine, [clip(8, 56, 56)])


def test_quantize_all_leaves_only_the_last_layer(folder):
    quantized = layers_in_4_bit(engine_of(folder, quantization="4bit", quantize_all=True))
    assert any(name.startswith("model.vision_tower.") for name in quantized)
    assert "lm_head" not in quantized


def test_bfloat16_on_the_cpu_answers(folder):
    engine = engine_of(folder, dtype="bfloat16")
    assert engine.info.dtype == "bfloat16"
    assert text_of(engine, [clip(8, 56, 56)])
