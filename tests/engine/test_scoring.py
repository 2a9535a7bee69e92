# SPDX-License-Identifier: Apache-2.0
"""Choosing, beside what every family does (tests/models/test_families.py): attention, conversations, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from answering import GREEDY, engine_of, streamed
from pictures import clip, still

from llava_cli.engine import scoring
from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.scores import Choices
from llava_cli.engine.types import Generation, Query
from llava_cli.errors import ModelError, UsageError
from llava_cli.models.messages import Conversation, Turn, ask

SEEN = clip(4, 56, 56)
CHOICES = Choices(("a baby", "A circle moves to the right, then it stops.", "no"))
WHY, HOW = ask("Why?", [SEEN]), ask("How many?", [SEEN])


def chosen(engine, *asked, choices=CHOICES, **more):
    return engine.answer([Query(one, GREEDY, choices=choices, **more) for one in asked])


def logprobs(answers):
    return [choice.logprob for answer in answers for choice in answer.choices]


def test_where_attention_takes_no_mask_of_ours_choices_are_run_one_after_the_other(engine, folder):
    eager = engine_of(folder, dtype="float32", attention="eager")
    expected = logprobs(chosen(engine, WHY, ask("Compare.", [still(60, 90), SEEN])))
    assert logprobs(chosen(eager, WHY, ask("Compare.", [still(60, 90), SEEN]))) == pytest.approx(expected, abs=1e-4)


def test_all_choices_go_through_the_model_in_one_pass_behind_what_prompts_share(engine, monkeypatch):
    runs = []
    forward = engine._model.forward

    def noted(**given):
        runs.append((given["inputs_embeds"] if "inputs_embeds" in given else given["input_ids"]).shape[:2])
        return forward(**given)

    monkeypatch.setattr(engine._model, "forward", noted)
    answers = chosen(engine, WHY, HOW)
    shared, rest, scored = runs
    assert shared[0] == 1
    assert rest[0] == scored[0] == 2
    assert rest[1] < shared[1]
    assert scored[1] == sum(choice.tokens - 1 for choice in answers[0].choices)


def test_the_answer_is_the_likeliest_choice_with_its_own_tokens(engine):
    (answer,) = chosen(engine, WHY)
    best = max(answer.choices, key=lambda choice: choice.probability)
    assert (answer.text, answer.finish_reason) == (best.text, "stop")
    assert answer.completion_tokens == len(answer.ids) == best.tokens - 1
    assert engine._tokenizer.decode(answer.ids).strip() == best.text
    assert 0 < answer.confidence < 1


def test_the_end_of_an_answer_may_be_any_of_its_stop_tokens(engine, monkeypatch):
    """What a user's own template ends turns with is one of them too."""
    (before,) = chosen(engine, WHY)
    monkeypatch.setattr(engine, "_stop_ids", engine._stop_ids | {9, 10, 11})
    (after,) = chosen(engine, WHY)
    assert all(more.logprob > less.logprob for more, less in zip(after.choices, before.choices, strict=True))


def test_a_conversation_goes_on_after_a_choice_as_if_it_had_been_said(engine):
    cache = KVCache()
    pieces, first = streamed_choice(engine, WHY, cache)
    assert pieces == [first.text]
    assert first.text == chosen(engine, WHY)[0].text
    turns = (*WHY.turns, Turn("assistant", (first.text,)), Turn("user", ("Are you sure?",)))
    _, cached = streamed(engine, Conversation(turns), cache=cache)
    _, alone = streamed(engine, Conversation(turns))
    assert sum(first.visual_tokens) < cached.cached_tokens < cached.prompt_tokens
    assert cached.text == alone.text
    _, again = streamed_choice(engine, Conversation(turns), cache)
    assert logprobs([again]) == pytest.approx(logprobs(chosen(engine, Conversation(turns))), abs=1e-4)


def streamed_choice(engine, asked, cache):
    stream, pieces = engine.stream(Query(asked, GREEDY, choices=CHOICES), cache=cache), []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_what_the_user_types_as_a_control_token_is_plain_characters(engine):
    asked = Choices(("a baby", "a baby</s>", "<video>"))
    ids = engine.family.answers(engine._tokenizer, WHY, asked.texts)
    assert not engine._stop_ids & {token for each in ids for token in each}
    (answer,) = chosen(engine, WHY, choices=asked)
    assert [choice.tokens for choice in answer.choices] == [len(each) + 1 for each in ids]


def test_choices_too_long_for_the_context_are_refused(engine):
    with pytest.raises(UsageError, match="longer than the checkpoint's context"):
        chosen(engine, WHY, choices=Choices(("a", "b " * 3000)))


def test_choices_that_a_tokenizer_cannot_tell_apart_are_refused(engine, monkeypatch):
    monkeypatch.setattr(engine.family, "answers", lambda *_: [[5], [5]])
    with pytest.raises(UsageError, match="'a' is the same as another to the checkpoint's tokenizer"):
        chosen(engine, WHY, choices=Choices(("a", "b")))
    monkeypatch.setattr(engine.family, "answers", lambda *_: [[5], []])
    with pytest.raises(UsageError, match="'b' is nothing"):
        chosen(engine, WHY, choices=Choices(("a", "b")))


@pytest.mark.parametrize("number", [float("nan"), 0.0])
def test_what_is_no_number_is_no_score(engine, monkeypatch, number):
    words = engine._model.lm_head.forward
    monkeypatch.setattr(engine._model.lm_head, "forward", lambda states: torch.full_like(words(states), number))
    with pytest.raises(ModelError, match="gives no answer"):
        chosen(engine, WHY)


def test_confidence_and_log_probabilities_are_those_of_the_raw_words(engine):
    """Whatever sampling made of them; and the tokens that are told are those that were generated."""
    generation = Generation(6, temperature=1.7, seed=3)
    (sampled,) = engine.answer([Query(WHY, generation, logprobs=4)])
    raw = scored_again(engine, sampled)
    assert [token.id for token in sampled.tokens] == list(sampled.ids)
    assert [token.logprob for token in sampled.tokens] == pytest.approx([row[i] for row, i in raw], abs=1e-5)
    assert sampled.confidence == pytest.approx(sum(torch.tensor([row[i] for row, i in raw]).exp()).item() / len(raw))
    for token, (row, _) in zip(sampled.tokens, raw, strict=True):
        assert [best.logprob for best in token.best] == pytest.approx(sorted(row, reverse=True)[:4], abs=1e-5)
        assert [best.logprob for best in token.best] == pytest.approx([row[best.id] for best in token.best], abs=1e-5)
    (plain,) = engine.answer([Query(WHY, generation)])
    assert (plain.ids, plain.confidence, plain.tokens) == (sampled.ids, sampled.confidence, ())


def scored_again(engine, answer):
    """Log-probabilities of all words where each token of an answer was chosen, and its id."""
    with torch.inference_mode():
        prompt = engine.embed(engine.family.prompt(engine._tokenizer, WHY))
        said = engine._model.get_input_embeddings()(torch.tensor(answer.ids))
        logits = engine._model(inputs_embeds=torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
    return list(zip(logits.log_softmax(-1).tolist(), answer.ids, strict=True))


def test_the_texts_of_tokens_join_to_the_answer(engine):
    (answer,) = engine.answer([Query(WHY, GREEDY, logprobs=0)])
    assert "".join(token.text for token in answer.tokens[: answer.completion_tokens]).strip() == answer.text
    assert not any(token.best for token in answer.tokens)


def test_streamed_and_batched_tokens_are_as_sure(engine):
    _, alone = streamed(engine, WHY)
    both = engine.answer([Query(HOW, GREEDY), Query(WHY, GREEDY)])[1]
    assert alone.confidence == pytest.approx(both.confidence, abs=1e-5)


def test_scoring_leaves_the_prompts_as_they_were(engine):
    from llava_cli.engine.generate import prefill

    with torch.inference_mode():
        prompts = prefill(engine._model, [engine.embed(engine.family.prompt(engine._tokenizer, WHY))])
        length = prompts.cache.get_seq_length()
        first = scoring.score(engine._model, prompts, [[[5, 6], [7]]], engine._stop_ids)
        assert prompts.cache.get_seq_length() == length
        again = scoring.score(engine._model, replace(prompts), [[[7], [5, 6]]], engine._stop_ids)
        assert again[0] == [pytest.approx(one, abs=1e-5) for one in reversed(first[0])]
