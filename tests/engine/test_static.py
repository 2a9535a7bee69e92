# SPDX-License-Identifier: Apache-2.0
"""Steps over caches of fixed size give the tokens that growing caches give. Here each is run, on a GPU replayed."""

from __future__ import annotations

import pytest
import torch
from answering import GREEDY, answers_of, engine_of, mixed_asks, streamed
from pictures import clip

from llava_cli.engine import static
from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.static import StaticDecoder
from llava_cli.engine.types import Generation
from llava_cli.models.messages import Conversation, Turn, ask

FAMILIES = ("llava-next-video", "video-llava", "llava-interleave", "llava-video", "llava-onevision", "llava-onevision2")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif("not torch.cuda.is_available()"))])
def device(request):
    return request.param


@pytest.fixture
def pair(checkpoints, device, monkeypatch):
    """Two engines on one tiny checkpoint, the second with steps of its own."""
    monkeypatch.setattr(static, "LENGTH_UNIT", 16)

    def of(family):
        engines = [engine_of(checkpoints(family), dtype="float32", device=device) for _ in range(2)]
        engines[0]._decoder = None
        engines[1]._decoder = StaticDecoder(engines[1]._model)
        return engines

    return of


def _texts(answers):
    return [(answer.text, answer.finish_reason, answer.completion_tokens) for answer in answers]


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_of_unequal_prompts_are_answered_alike(pair, family, monkeypatch):
    growing, fixed = pair(family)
    size = min(growing.family.view.size)
    asks = mixed_asks(size)
    if family == "video-llava":
        asks = [one for one in asks if all(len(getattr(m, "frames", range(8))) == 8 for m in one.media)]
    used = _counted(monkeypatch)
    for count in (1, 3, len(asks)):
        assert _texts(answers_of(fixed, asks[:count])) == _texts(answers_of(growing, asks[:count]))
    # The second time over memory that has been used.
    assert _texts(answers_of(fixed, asks[:3])) == _texts(answers_of(growing, asks[:3]))
    assert used


def _counted(monkeypatch):
    used = []
    call = static.Step.__call__
    monkeypatch.setattr(static.Step, "__call__", lambda self, tokens: used.append(len(tokens)) or call(self, tokens))
    return used


def test_a_sampled_answer_is_the_same_for_the_same_seed(pair):
    growing, fixed = pair("llava-next-video")
    sampled = Generation(max_new_tokens=12, temperature=1.5, seed=3)
    shown = [ask("Why?", [clip(8, *growing.family.view.size)])] * 2
    assert _texts(answers_of(fixed, shown, sampled)) == _texts(answers_of(growing, shown, sampled))


def test_a_conversation_goes_on_with_what_was_computed(pair, monkeypatch):
    engines = pair("llava-next-video")
    used = _counted(monkeypatch)
    shown = clip(8, *engines[0].family.view.size)
    said = []
    for engine in engines:
        cache, turns, answers = KVCache(), [Turn("user", (shown, "Why?"))], []
        for question in ("And then?", "Who?", None):
            _, answer = streamed(engine, Conversation(tuple(turns)), GREEDY, cache=cache)
            answers.append((answer.text, answer.cached_tokens))
            turns += [Turn("assistant", (answer.text,)), Turn("user", (question or "",))]
        said.append(answers)
    assert said[0] == said[1]
    assert said[1][2][1] > said[1][1][1] > 0
    assert used


def test_what_cannot_be_recorded_is_answered_all_the_same(pair, monkeypatch, caplog):
    growing, fixed = pair("llava-next-video")

    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(static.Step, "_look_at_the_first", refuse)
    asks = mixed_asks(growing.family.view.size[0])[:2]
    for _ in range(2):
        assert _texts(answers_of(fixed, asks)) == _texts(answers_of(growing, asks))
    (told,) = caplog.records
    assert told.getMessage().endswith("operation not permitted when stream is capturing")


def test_steps_are_made_for_sizes_rounded_up_and_few_are_kept(pair):
    decoder = pair("llava-next-video")[1]._decoder
    with torch.inference_mode():
        step = decoder.step(3, 17)
        assert (step.batch, step.length) == (4, 32)
        assert decoder.step(4, 32) is step
        assert decoder.step(9, 17) is None
        decoder.step(1, 16)
        decoder.step(1, 40)
        assert decoder.step(3, 20) is not step
        assert len(decoder._steps) == 2


def test_attention_of_other_kinds_is_left_to_growing_caches(pair):
    model = pair("llava-next-video")[1]._model
    assert static.can_be_static(model)
    text = model.config.get_text_config()
    text._attn_implementation = "eager"
    assert not static.can_be_static(model)
    text._attn_implementation = "sdpa"
    text.layer_types = ["sliding_attention"]
    assert not static.can_be_static(model)
