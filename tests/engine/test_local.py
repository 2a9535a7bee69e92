# SPDX-License-Identifier: Apache-2.0
"""What the engine promises: the published recipe's tokens, batched as one by one, nothing from anywhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import clip, still
from PIL import Image
from transformers import LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from llava_cli.engine.engine import Generation
from llava_cli.engine.load import load
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.options import LoadOptions
from llava_cli.errors import ModelError, OutOfMemory
from llava_cli.media.clip import Clip, Still
from llava_cli.models import conversation
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.conversation import Ask, Turn
from llava_cli.models.prompt import Slot
from llava_cli.models.registry import family_of

GREEDY = Generation(max_new_tokens=16)


def text_of(engine: LocalEngine, media: list, question: str, generation: Generation = GREEDY) -> str:
    return engine.answer([conversation.ask(question, media)], generation)[0].text


@pytest.fixture(scope="module")
def recipe(folder: Path):
    """The published snippet: placeholders expanded in the text, pixels by the authors' preprocessing, HF's forward."""
    model = LlavaNextVideoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    mean_std = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    size = model.config.vision_config.image_size
    frames = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size}, **mean_std)
    tiles = LlavaNextImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size},
        image_grid_pinpoints=model.config.image_grid_pinpoints, **mean_std,
    )  # fmt: skip

    def answer(prompt: str, media: list) -> str:
        inputs = {}
        clips = [m for m in media if isinstance(m, Clip)]
        stills = [m for m in media if isinstance(m, Still)]
        if clips:
            pixels = [frames([Image.fromarray(f) for f in c.frames], return_tensors="pt").pixel_values for c in clips]
            inputs["pixel_values_videos"] = torch.stack(pixels)
            for c in clips:
                prompt = prompt.replace("<video>", "<V>" * (len(c.frames) * 4), 1)
        if stills:
            inputs |= tiles([Image.fromarray(s.pixels) for s in stills], return_tensors="pt")
            lengths = [len(f) for f in model.get_image_features(**inputs_of(inputs)).pooler_output]
            for length in lengths:
                prompt = prompt.replace("<image>", "<I>" * length, 1)
        text = prompt.replace("<V>", "<video>").replace("<I>", "<image>")
        ids = tokenizer(text, return_tensors="pt").input_ids
        output = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, **inputs
        )
        return tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()

    return answer


def inputs_of(inputs: dict) -> dict:
    return {key: inputs[key] for key in ("pixel_values", "image_sizes")}


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
    assert text_of(engine, media, "Why?") == expected


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
    assert engine.answer([Ask(turns)], GREEDY)[0].text == recipe(prompt, [first, second])


def test_answers_depend_on_frames_order_colours_and_question(engine):
    seen = clip(8, 56, 56)
    variants = {
        "as it is": text_of(engine, [seen], "Why?"),
        "reversed": text_of(engine, [dataclasses.replace(seen, frames=seen.frames[::-1].copy())], "Why?"),
        "swapped channels": text_of(engine, [dataclasses.replace(seen, frames=seen.frames[..., ::-1].copy())], "Why?"),
        "one frame black": text_of(engine, [dataclasses.replace(seen, frames=blackened(seen.frames))], "Why?"),
        "another question": text_of(engine, [seen], "How?"),
    }
    assert len(set(variants.values())) == len(variants)


def blackened(frames: np.ndarray) -> np.ndarray:
    frames = frames.copy()
    frames[3] = 0
    return frames


def test_a_batch_answers_as_one_by_one(engine):
    asks = [
        conversation.ask("Why is this video funny?", [clip(8, 56, 56)]),
        conversation.ask("Why?", [clip(3, 56, 56, seed=1), still(61, 97)]),
        conversation.ask("How many shapes are there?", [still(30, 90, seed=2)]),
        conversation.ask("What?", [clip(1, 56, 56, seed=3)], system="Answer in one word."),
    ]
    single = [engine.answer([one], GREEDY)[0] for one in asks]
    batch = engine.answer(asks, GREEDY)
    assert [a.text for a in batch] == [a.text for a in single]
    assert [a.prompt_tokens for a in batch] == [a.prompt_tokens for a in single]


def test_a_shared_medium_is_encoded_once(engine, monkeypatch):
    encoded = []
    encode = engine.family.encode
    monkeypatch.setattr(engine.family, "encode", lambda model, medium: encoded.append(medium) or encode(model, medium))
    seen = clip(4, 56, 56)
    engine.answer([conversation.ask(q, [seen]) for q in ("Why?", "How?", "Who?")], GREEDY)
    assert encoded == [seen]


def test_streamed_pieces_join_to_the_answer(engine):
    pieces: list[str] = []
    answer = engine.answer([conversation.ask("Why?", [clip(8, 56, 56)])], Generation(48), pieces.append)[0]
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text


def test_greedy_by_default_whatever_the_checkpoint_s_own_settings(engine, folder):
    assert '"do_sample": true' in (folder / "generation_config.json").read_text()
    assert len({text_of(engine, [clip(8, 56, 56)], "Why?") for _ in range(3)}) == 1


def test_sampling_follows_its_seed(engine):
    def sampled(seed: int) -> str:
        return text_of(engine, [clip(8, 56, 56)], "Why?", Generation(16, temperature=1.5, seed=seed))

    assert sampled(1) == sampled(1)
    assert len({sampled(seed) for seed in range(4)}) > 1


def test_length_and_stop_are_told_apart(engine, monkeypatch):
    ask = conversation.ask("Why?", [clip(8, 56, 56)])
    long = engine.answer([ask], Generation(8))[0]
    assert (long.finish_reason, long.completion_tokens) == ("length", 8)
    third = engine.answer([ask], Generation(3))[0]
    ids = engine._tokenizer(third.text, add_special_tokens=False).input_ids
    first_id = generated_ids(engine, ask, 3)[2]
    monkeypatch.setattr(engine, "_stop_ids", frozenset([first_id]))
    stopped = engine.answer([ask], Generation(8))[0]
    assert stopped.finish_reason == "stop"
    assert stopped.completion_tokens <= 2
    assert ids


def generated_ids(engine: LocalEngine, ask: conversation.Ask, count: int) -> list[int]:
    from llava_cli.engine import generate

    with torch.inference_mode():
        embeddings = engine._embed([engine.family.prompt(engine._tokenizer, ask)])
        return generate.run(engine._model, engine._tokenizer, frozenset(), embeddings, Generation(count)).ids[0]


def test_more_placeholders_than_features_is_an_error_not_an_answer(engine, monkeypatch):
    monkeypatch.setattr(engine.family, "slots", lambda medium: (Slot(medium, "video", 31),))
    with pytest.raises(ModelError, match="31 placeholders"):
        text_of(engine, [clip(8, 56, 56)], "Why?")


def test_a_receipt_counts_what_was_shown(engine):
    answer = engine.answer([conversation.ask("Why?", [clip(8, 56, 56), still(61, 97)])], GREEDY)[0]
    assert answer.visual_tokens == (32, 70)
    assert [m.info.kind for m in answer.media] == ["video", "image"]
    assert answer.prompt_tokens > 102
    assert answer.template == "checkpoint"


def test_running_out_of_memory_is_its_own_error(engine, monkeypatch):
    def exhausted(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(engine.family, "encode", exhausted)
    with pytest.raises(OutOfMemory, match="--frames"):
        text_of(engine, [clip(8, 56, 56)], "Why?")


def test_4_bit_answers_on_the_cpu_and_keeps_its_eyes_in_16_bit(folder):
    from bitsandbytes.nn import Linear4bit

    engine = load(family_of(open_checkpoint(str(folder))), LoadOptions(device="cpu", quantization="4bit"))
    assert engine.info.quantization == "nf4"
    quantized = [name for name, module in engine._model.named_modules() if isinstance(module, Linear4bit)]
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    assert text_of(engine, [clip(8, 56, 56)], "Why?")


def test_a_4_bit_checkpoint_survives_saving(folder, tmp_path):
    engine = load(family_of(open_checkpoint(str(folder))), LoadOptions(device="cpu", quantization="4bit"))
    for file in folder.iterdir():
        if file.suffix == ".json" and file.name != "config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    engine._model.save_pretrained(tmp_path)
    again = load(family_of(open_checkpoint(str(tmp_path))), LoadOptions(device="cpu", dtype="float32"))
    assert again.info.quantization == "nf4"
    assert text_of(again, [clip(8, 56, 56)], "Why?") == text_of(engine, [clip(8, 56, 56)], "Why?")


def test_8_bit_answers_on_the_cpu(folder):
    engine = load(family_of(open_checkpoint(str(folder))), LoadOptions(device="cpu", quantization="8bit"))
    assert engine.info.quantization == "int8"
    assert text_of(engine, [clip(8, 56, 56)], "Why?")


def test_quantize_all_leaves_only_the_last_layer(folder):
    from bitsandbytes.nn import Linear4bit

    options = LoadOptions(device="cpu", quantization="4bit", quantize_all=True)
    engine = load(family_of(open_checkpoint(str(folder))), options)
    quantized = {name for name, module in engine._model.named_modules() if isinstance(module, Linear4bit)}
    assert any(name.startswith("model.vision_tower.") for name in quantized)
    assert "lm_head" not in quantized


def test_bfloat16_on_the_cpu_answers(folder):
    engine = load(family_of(open_checkpoint(str(folder))), LoadOptions(device="cpu", dtype="bfloat16"))
    assert engine.info.dtype == "bfloat16"
    assert text_of(engine, [clip(8, 56, 56)], "Why?")
