# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision-2's model: the original authors' numbers, from pixels to tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from answering import answers_of, engine_of, streamed
from onevision2 import BATCH, TOLERANCE, VECTORS, Vector
from PIL import Image
from tiny.llava_onevision2 import AUTHORS

from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Generation, Timing
from llava_cli.media.clip import Media
from llava_cli.models.llava_onevision2_model import rope_angles, turned
from llava_cli.models.messages import Conversation, Turn, ask
from llava_cli.models.prompt import Prompt

TWELVE = Generation(max_new_tokens=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("llava-onevision2", tmp_path_factory.mktemp("onevision2"), **AUTHORS)


@pytest.fixture(scope="module")
def unending(engine: LocalEngine) -> LocalEngine:
    """The authors' answers go on where they would have ended."""
    engine._stop_ids = frozenset()
    return engine


def patches(engine: LocalEngine, media: Sequence[Media]) -> np.ndarray:
    return np.concatenate([engine.family.patches(medium)[0].flatten(0, 1).numpy() for medium in media])


def logits(engine: LocalEngine, prompts: Sequence[Prompt]) -> np.ndarray:
    """Of the first token of each answer."""
    with torch.inference_mode():
        embedded = engine._embed(prompts, Timing())
        return torch.stack([engine._model(inputs_embeds=one[None]).logits[0, -1] for one in embedded]).numpy()


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_ids_pixels_features_logits_and_tokens_are_the_authors(unending, vector: Vector):
    expected, family = vector.expected(), unending.family
    prompt = family.prompt(unending._tokenizer, vector.conversation())
    assert prompt.ids == expected["input_ids"][0].tolist()
    assert prompt.template == "checkpoint"
    seen = patches(unending, prompt.media)
    assert np.array_equal(seen.sum(1, dtype=np.float64), expected["pixel_sums"])
    if "pixel_rows" in expected:
        assert np.array_equal(seen[expected["pixel_rows"]], expected["pixel_probe"])
    with torch.inference_mode():
        merged = torch.cat([family.encode(unending._model, medium) for medium in prompt.media]).numpy()
    assert np.abs(merged - expected["merged"]).max() < TOLERANCE["merged"]
    assert np.abs(logits(unending, [prompt]) - expected["logits"]).max() < TOLERANCE["logits"]
    assert answers_of(unending, [vector.conversation()], TWELVE)[0].ids == tuple(expected["tokens"][0])


def test_a_batch_of_pictures_of_several_sizes_is_answered_as_the_authors_do(unending):
    expected = BATCH[0].expected()
    asked = [vector.conversation() for vector in BATCH]
    prompts = [unending.family.prompt(unending._tokenizer, one) for one in asked]
    assert [prompt.ids for prompt in prompts] == [ids[ids != 300].tolist() for ids in expected["input_ids"]]
    assert np.abs(logits(unending, prompts) - expected["logits"]).max() < TOLERANCE["logits"]
    assert [answer.ids for answer in answers_of(unending, asked, TWELVE)] == [*map(tuple, expected["tokens"])]


def test_a_conversation_goes_on_with_what_was_computed(engine):
    film = next(vector for vector in VECTORS if vector.name == "image_video_t0").seen()
    turns, cache = [Turn("user", (*film, "Compare."))], KVCache()
    for question in ("Why?", "And then?"):
        whole = answers_of(engine, [Conversation(tuple(turns))], TWELVE)[0]
        _, again = streamed(engine, Conversation(tuple(turns)), TWELVE, cache=cache)
        assert (again.text, again.ids) == (whole.text, whole.ids)
        turns += [Turn("assistant", (again.text,)), Turn("user", (question,))]
    assert again.cached_tokens > sum(again.visual_tokens)


def test_questions_about_the_same_media_share_what_they_begin_with(engine):
    film = VECTORS[3].seen()
    asked = [ask(question, film) for question in ("What happens?", "Why?", "Where is it?")]
    together, alone = answers_of(engine, asked), [answers_of(engine, [one])[0] for one in asked]
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]


def test_frames_that_have_their_size_are_not_scaled_again(engine):
    seen = VECTORS[3].seen()[0]
    brought = np.stack([np.asarray(Image.fromarray(frame).resize((112, 84), 3)) for frame in seen.frames])
    sized = dataclasses.replace(seen, frames=brought, fit="native")
    assert torch.equal(engine.family.pixels(seen), engine.family.pixels(sized))


def test_each_number_of_a_head_turns_by_its_own_angle():
    places = torch.tensor([[3, 5, 7]])
    angles = rope_angles(places, 32, 10000.0)
    assert angles.dtype == torch.float32
    # Of sixteen: four by time, six by row, six by column; then the same again.
    frequencies = [10000 ** -(i / n) for n in (4, 6, 6) for i in range(n)]
    by = [3] * 4 + [5] * 6 + [7] * 6
    expected = torch.tensor([f * p for f, p in zip(frequencies, by, strict=True)] * 2)
    assert torch.allclose(angles[0], expected, rtol=1e-5)
    states = torch.arange(1.0, 33.0)[None]
    out = turned(states, angles)[0]
    assert out[0] == pytest.approx(1 * np.cos(3.0) - 2 * np.sin(3.0), abs=1e-5)
    assert out[1] == pytest.approx(2 * np.cos(angles[0, 1].item()) + 1 * np.sin(angles[0, 1].item()), abs=1e-5)
    assert turned(states.bfloat16(), angles).dtype == torch.bfloat16


def test_16_bits_keep_frequencies_and_positions_exact(folder, engine):
    """Kept with the model, they would lose what tells distant frames apart."""
    half = engine_of(folder, dtype="bfloat16")
    assert {weight.dtype for weight in half._model.state_dict().values()} == {torch.bfloat16}
    seen = next(vector for vector in VECTORS if vector.name == "clip8_tindex").seen()[0]
    with torch.inference_mode():
        features = [one.family.encode(one._model, seen).float() for one in (engine, half)]
    spread = features[0].std()
    assert (features[0] - features[1]).abs().mean() < 0.03 * spread
