# SPDX-License-Identifier: Apache-2.0
"""What prompts share is run once, and they are answered as if it had been run for each."""

from __future__ import annotations

import pytest
from answering import answers_of, streamed
from pictures import clip, still

from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Generation
from llava_cli.models.messages import Conversation, Turn, ask, raw

GREEDY = Generation(max_new_tokens=12)


@pytest.fixture
def prefilled(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each run through the language model's layers took, prompts only."""
    lengths: list[int] = []
    forward = engine._model.model.language_model.forward

    def counted(*args, **kwargs):
        length = kwargs["inputs_embeds"].shape[0] * kwargs["inputs_embeds"].shape[1]
        if kwargs["inputs_embeds"].shape[1] > 1:
            lengths.append(length)
        return forward(*args, **kwargs)

    monkeypatch.setattr(engine._model.model.language_model, "forward", counted)
    return lengths


def test_many_questions_about_one_clip_run_its_tokens_once(engine, prefilled):
    seen = clip(16, 56, 56)
    asks = [ask(q, [seen]) for q in ("Why?", "How many shapes are there in the video?", "What happens at the end?")]
    single = [answers_of(engine, [one], GREEDY)[0].text for one in asks]
    prefilled.clear()
    together = answers_of(engine, asks, GREEDY)
    assert [answer.text for answer in together] == single
    assert len(set(single)) == 3
    visual = together[0].visual_tokens[0]
    assert prefilled[0] > visual
    assert sum(prefilled) < 2 * visual + sum(answer.prompt_tokens - visual for answer in together)


def test_a_conversation_goes_on_where_it_was(engine, prefilled):
    seen, other = clip(16, 56, 56), still(61, 97)
    cache = KVCache()
    first = ask("Why is this video funny?", [seen], system="Be brief.")
    answer = streamed(engine, first, GREEDY, cache=cache)[1]
    second = Conversation(
        (*first.turns, Turn("assistant", (answer.text,)), Turn("user", ("How many shapes are there?",)))
    )
    prefilled.clear()
    followed = streamed(engine, second, GREEDY, cache=cache)[1]
    assert sum(prefilled) < followed.prompt_tokens - followed.visual_tokens[0]
    third = Conversation((*second.turns, Turn("assistant", (followed.text,)), Turn("user", (other, "And this?"))))
    last = streamed(engine, third, GREEDY, cache=cache)[1]
    fresh = [answers_of(engine, [one], GREEDY)[0].text for one in (second, third)]
    assert [followed.text, last.text] == fresh


def test_other_media_share_nothing(engine):
    """Equal token ids stand for different pictures."""
    one, other = clip(8, 56, 56), clip(8, 56, 56, seed=1)
    cache = KVCache()
    streamed(engine, ask("Why?", [one]), GREEDY, cache=cache)
    remembered = streamed(engine, ask("Why?", [other]), GREEDY, cache=cache)[1].text
    assert remembered == answers_of(engine, [ask("Why?", [other])], GREEDY)[0].text
    assert remembered != answers_of(engine, [ask("Why?", [one])], GREEDY)[0].text


def test_the_same_question_again(engine):
    seen, cache = clip(8, 56, 56), KVCache()
    texts = [streamed(engine, ask("Why?", [seen]), GREEDY, cache=cache)[1].text for _ in range(3)]
    assert len(set(texts)) == 1


def test_a_stopped_answer_is_kept_and_gone_on_from(engine, prefilled):
    """It ends with the token after which it was stopped, and what it computed serves the next turn."""
    asked, cache = ask("Why is this video funny?", [clip(16, 56, 56)]), KVCache()
    whole = answers_of(engine, [asked], GREEDY)[0]
    asked_for_more = iter([False, False, True, True, True])
    stopped = streamed(engine, asked, GREEDY, cache=cache, stop=lambda: next(asked_for_more))[1]
    assert (stopped.finish_reason, stopped.completion_tokens) == ("interrupted", 3)
    assert whole.text.startswith(stopped.text)
    second = Conversation((*asked.turns, Turn("assistant", (stopped.text,)), Turn("user", ("And then?",))))
    prefilled.clear()
    followed = streamed(engine, second, GREEDY, cache=cache)[1]
    assert followed.cached_tokens > followed.visual_tokens[0]
    assert sum(prefilled) == followed.prompt_tokens - followed.cached_tokens
    assert followed.text == answers_of(engine, [second], GREEDY)[0].text


def test_what_is_remembered_is_not_encoded_again(engine, monkeypatch):
    seen, other, cache = clip(8, 56, 56), clip(8, 56, 56, seed=1), KVCache()
    encoded = []
    encode = engine.family.encode
    monkeypatch.setattr(engine.family, "encode", lambda model, medium: encoded.append(medium) or encode(model, medium))
    for medium in (seen, seen, other, seen):
        streamed(engine, ask("Why?", [medium]), GREEDY, cache=cache)
    assert encoded == [seen, other, seen]
    answers_of(engine, [ask("Why?", [seen])], GREEDY)
    answers_of(engine, [ask("Why?", [seen])], GREEDY)
    assert encoded == [seen, other, seen, seen, seen]  # without the cache, nothing is used or left


def test_ids_that_stand_for_features_are_those_of_no_word(engine, monkeypatch):
    """Two prompts that are the same numbers and mean different things, where a placeholder's id is a word's too."""
    space = engine._tokenizer.convert_tokens_to_ids("▁")
    monkeypatch.setattr(engine.family, "placeholder_ids", {"video": space, "image": space})
    seen, cache = clip(1, 56, 56), KVCache()
    asks = [raw("<video>   ?", [seen]), raw(" <video> ?", [seen])]
    first, second = (engine.family.prompt(engine._tokenizer, one) for one in asks)
    assert first.ids == second.ids
    assert first.places != second.places
    single = [answers_of(engine, [one], GREEDY)[0].text for one in asks]
    assert len(set(single)) == 2
    assert [answer.text for answer in answers_of(engine, asks, GREEDY)] == single
    assert [streamed(engine, one, GREEDY, cache=cache)[1].text for one in asks] == single
