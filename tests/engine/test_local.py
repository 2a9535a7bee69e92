# SPDX-License-Identifier: Apache-2.0
"""What the engine promises beside what every family does: counts, errors, seeds, and numbers of several kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from answering import GREEDY, answers_of, streamed, text_of
from pictures import clip, still

from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Generation, Timing
from llava_cli.errors import ModelError, OutOfMemory
from llava_cli.models import messages
from llava_cli.models.prompt import Placeholder


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
        return [
            tokens[0].id for tokens in generate.next_tokens(engine._model, embeddings, Generation(count), frozenset())
        ]


def test_more_placeholders_than_features_is_an_error_not_an_answer(engine, monkeypatch):
    monkeypatch.setattr(engine.family, "placeholders", lambda medium: (Placeholder(medium, "video", 31),))
    with pytest.raises(ModelError, match="31 placeholders"):
        text_of(engine, [clip(8, 56, 56)])


def test_a_receipt_counts_what_was_shown(engine):
    answer = answers_of(engine, [messages.ask("Why?", [clip(8, 56, 56), still(61, 97)])], GREEDY)[0]
    assert answer.visual_tokens == (70, 32)  # the template shows images first
    assert [m.info.kind for m in answer.media] == ["image", "video"]
    assert answer.prompt_tokens > 102
    assert answer.template == "checkpoint"


def test_running_out_of_memory_is_its_own_error(engine, monkeypatch):
    def exhausted(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(engine.family, "encode", exhausted)
    with pytest.raises(OutOfMemory, match="--frames"):
        text_of(engine, [clip(8, 56, 56)])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0])
@pytest.mark.parametrize("generation", [GREEDY, Generation(4, temperature=1.0, seed=1)])
def test_what_is_no_number_is_no_answer(engine, monkeypatch, number, generation):
    """Nor is what is the same of every word: it would read as an empty answer, or as the first word for ever."""
    spoil_words(engine, monkeypatch, lambda logits: torch.full_like(logits, number))
    asked = messages.ask("Why?", [clip(4, 56, 56)])
    for attempt in (
        lambda: answers_of(engine, [asked, asked], generation),
        lambda: streamed(engine, asked, generation),
    ):
        with pytest.raises(ModelError, match=r"gives no answer: .*weights are damaged$") as failure:
            attempt()
        assert failure.value.code == "senseless"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_word_alone_that_is_no_number_is_enough(engine, monkeypatch, number):
    spoil_words(engine, monkeypatch, lambda logits: logits.index_fill(-1, torch.tensor([7]), number))
    with pytest.raises(ModelError, match="gives no answer"):
        text_of(engine, [clip(4, 56, 56)])


def test_where_numbers_are_too_large_for_their_kind_another_is_named(engine, monkeypatch):
    monkeypatch.setattr(engine, "info", replace(engine.info, dtype="float16"))
    spoil_words(engine, monkeypatch, lambda logits: logits * torch.nan)
    with pytest.raises(ModelError, match="too large for float16: try --dtype bfloat16"):
        text_of(engine, [clip(4, 56, 56)])


def spoil_words(engine, monkeypatch, spoil) -> None:
    """Have the model say something else of the next word than it does."""
    words = engine._model.lm_head.forward
    monkeypatch.setattr(engine._model.lm_head, "forward", lambda states: spoil(words(states)))
