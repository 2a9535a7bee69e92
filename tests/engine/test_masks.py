# SPDX-License-Identifier: Apache-2.0
"""Answers that have a shape whatever the model would rather say: alone, in batches, sampled, over recorded steps."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
import torch
from answering import GREEDY, answers_of, engine_of, mixed_asks
from jsonschema import Draft202012Validator
from pictures import clip
from schemas import random_schema
from tiny.tokenizers import llama_tokenizer, qwen_tokenizer

from llava_cli.engine import generate, static
from llava_cli.engine.constrain import Vocabulary
from llava_cli.engine.masks import Masks
from llava_cli.engine.shape import Misshapen, misfit, read_constraint
from llava_cli.engine.static import StaticDecoder
from llava_cli.engine.types import Generation, Query
from llava_cli.models.messages import ask

FAMILIES = ("llava-next-video", "video-llava", "llava-interleave", "llava-video", "llava-onevision")
SEEN = {
    "type": "object",
    "properties": {
        "people": {"type": "integer", "minimum": 0, "maximum": 99},
        "dog": {"type": "boolean"},
        "colours": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 2},
    },
    "required": ["people", "dog", "colours"],
    "additionalProperties": False,
}
SHAPES = [
    read_constraint(SEEN),
    None,
    read_constraint(regex="(Yes|No), [a-z ]{3,12}[.]"),
    read_constraint(grammar='start: "The " /red|blue/ " " ("circle" | "square") "s"?'),
    read_constraint("dog bool"),
]
LONG = Generation(max_new_tokens=80)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_batch_have_shapes_of_their_own_and_say_what_they_say_alone(checkpoints, family):
    engine = engine_of(checkpoints(family), dtype="float32")
    shown = [clip(8, *engine.family.view.size)]
    queries = [Query(ask("Why?", shown), LONG, constraint=shape) for shape in SHAPES]
    together = engine.answer(queries)
    for shape, query, answer in zip(SHAPES, queries, together, strict=True):
        (alone,) = engine.answer([query])
        assert (answer.text, answer.finish_reason) == (alone.text, alone.finish_reason)
        if shape is not None:
            assert answer.finish_reason == "stop"
            assert misfit(shape, answer.text, "stop", 1) is None
    Draft202012Validator(SEEN).validate(json.loads(together[0].text))
    assert re.fullmatch("(Yes|No), [a-z ]{3,12}[.]", together[2].text)
    assert together[1].text == answers_of(engine, [queries[1].conversation], LONG)[0].text


@pytest.mark.parametrize(("tokenizer", "seed"), [(llama_tokenizer, 1), (qwen_tokenizer, 2)])
def test_a_hundred_random_schemas_get_documents_that_fit_whatever_the_model_says(tokenizer, seed):
    """No model at all: each step's logits are drawn at random, more of them than the tokenizer has tokens."""
    tokenizer, random = tokenizer(), Random(seed)
    schemas = [random_schema(random) for _ in range(50)]
    stop_ids = frozenset({tokenizer.eos_token_id, 630})
    masks = Masks(Vocabulary(tokenizer, "tiny"), list(map(read_constraint, schemas)), stop_ids)
    drawn = torch.Generator().manual_seed(3)
    ids: list[list[int]] = [[] for _ in schemas]
    running = set(range(len(schemas)))
    for _ in range(700):
        rows = sorted(running)
        chosen = masks(torch.randn(len(rows), 640, generator=drawn), rows).argmax(-1).tolist()
        tokens = dict(zip(rows, chosen, strict=True))
        masks.take(tokens)
        for row, token in tokens.items():
            ids[row].append(token)
        running = {row for row in rows if tokens[row] not in stop_ids and row not in masks.complete}
        if not running:
            break
    assert not running
    for schema, said in zip(schemas, ids, strict=True):
        text = generate.decode(tokenizer, [token for token in said if token not in stop_ids])
        Draft202012Validator(schema).validate(json.loads(text))
        assert misfit(read_constraint(schema), text, "stop", 1) is None
        assert "\n" not in text


@pytest.mark.parametrize("family", ["llava-onevision", "video-llava"])
def test_an_answer_that_fits_by_itself_is_not_changed(checkpoints, family):
    """To the token: the model keeps its own way to split what it says, and the space that it begins with."""
    engine = engine_of(checkpoints(family), dtype="float32")
    conversation = ask("Why is this video funny?", [clip(8, *engine.family.view.size)])
    (free,) = answers_of(engine, [conversation])
    assert len(free.text) > 10
    for shape in (read_constraint(regex="(?s:.*)"), read_constraint(grammar="start: (/[a-zA-Z]+/ | /(?s:.)/)*")):
        (same,) = engine.answer([Query(conversation, GREEDY, constraint=shape)])
        assert (same.ids, same.text, same.finish_reason) == (free.ids, free.text, free.finish_reason)


def test_an_answer_ends_with_its_last_token_and_needs_no_other_to_say_so(checkpoints):
    engine = engine_of(checkpoints("llava-onevision"), dtype="float32")
    conversation = ask("Why?", [clip(8, *engine.family.view.size)])
    shape = read_constraint(regex="Yes, it is red[.]")
    (whole,) = engine.answer([Query(conversation, LONG, constraint=shape)])
    assert whole.text == "Yes, it is red."
    assert len(whole.ids) == whole.completion_tokens
    (just,) = engine.answer([Query(conversation, Generation(whole.completion_tokens), constraint=shape)])
    assert (just.text, just.finish_reason) == (whole.text, "stop")
    (cut,) = engine.answer([Query(conversation, Generation(whole.completion_tokens - 1), constraint=shape)])
    assert cut.finish_reason == "length"


def test_sampled_answers_fit_too_and_differ_by_their_seed(checkpoints):
    engine = engine_of(checkpoints("llava-next-video"), dtype="float32")
    conversation = ask("Why?", [clip(8, *engine.family.view.size)])
    texts = [
        engine.answer([Query(conversation, Generation(80, 1.5, 0.9, seed), constraint=SHAPES[0])])[0].text
        for seed in (1, 2, 2)
    ]
    for text in texts:
        Draft202012Validator(SEEN).validate(json.loads(text))
    assert texts[0] != texts[1] == texts[2]


def test_steps_over_caches_of_fixed_size_are_followed_alike(checkpoints, monkeypatch):
    monkeypatch.setattr(static, "LENGTH_UNIT", 16)
    growing, fixed = (engine_of(checkpoints("llava-next-video"), dtype="float32") for _ in range(2))
    fixed._decoder = StaticDecoder(fixed._model)
    asks = mixed_asks(growing.family.view.size[0])
    queries = [Query(one, LONG, constraint=shape) for one, shape in zip(asks, SHAPES, strict=True)]
    for count in (1, 5):
        first, second = (engine.answer(queries[:count]) for engine in (growing, fixed))
        assert [answer.text for answer in first] == [answer.text for answer in second]
    assert fixed._decoder._steps


def vocabulary() -> Vocabulary:
    return Vocabulary(qwen_tokenizer(), "tiny")


def test_free_answers_keep_their_logits_and_those_beyond_the_tokenizer(checkpoints):
    masks = Masks(vocabulary(), [None, read_constraint(regex="a"), None], frozenset({317}))
    logits = torch.randn(3, 350)
    masked = masks(logits, [0, 1, 2])
    assert torch.equal(masked[[0, 2]], logits[[0, 2]])
    possible = masked[1].isfinite()
    assert [qwen_tokenizer().decode([token]) for token in possible.nonzero().flatten()] == ["a", " ", " a"]
    assert torch.equal(masked[1][possible], logits[1][possible])
    assert torch.equal(masks(logits[[1]], [1])[0], masked[1])


def test_an_answer_may_end_with_any_stop_token_and_only_where_it_may_end():
    stop_ids = frozenset({317, 345, 9999})
    masks = Masks(vocabulary(), [read_constraint(regex="a+")], stop_ids)
    ends = []
    for _ in range(2):
        masked = masks(torch.zeros(1, 350), [0])[0]
        ends.append([token for token in (317, 345) if masked[token] == 0])
        masks.take({0: qwen_tokenizer().convert_tokens_to_ids("a")})
    assert ends == [[], [317, 345]]
    masks.take({0: 345})
    assert torch.equal(masks(torch.zeros(1, 350), [0]), torch.zeros(1, 350))


def test_an_answer_that_cannot_go_on_is_told():
    masks = Masks(vocabulary(), [read_constraint(regex="ab")], frozenset({317}))
    with pytest.raises(Misshapen, match="cannot go on in the shape that was asked for"):
        masks.take({0: 5})
