# SPDX-License-Identifier: Apache-2.0
"""What llguidance is asked: whether a whole answer fits, and what may follow in one of a checkpoint's tokens."""

from __future__ import annotations

import pytest
from tiny.tokenizers import llama_tokenizer, qwen_tokenizer

from llava_cli.demo import CHECKPOINT
from llava_cli.engine.constrain import Vocabulary, fits
from llava_cli.engine.shape import read_constraint
from llava_cli.errors import ModelError
from llava_cli.models.tokenizer import load_tokenizer

OBJECT = {
    "type": "object",
    "properties": {"b": {"type": "integer"}, "a": {"type": "string"}},
    "required": ["b"],
    "additionalProperties": {"type": "boolean"},
}


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ('{"b":1,"a":"x"}', True),
        ('{"a": "x",\n "b": 1}', True),
        ('{"A": true, "a": "x", "b": 1, "z": false}', True),
        ('{"b":1,"a":"\\u00e9 \\/ \x7f"}', True),
        ('{"a":"x"}', False),
        ('{"b":"1"}', False),
        ('{"b":1,"z":1}', False),
        ('{"b":1', False),
        ('```json\n{"b":1}\n```', False),
        ('{"b":1} and so on', False),
        ('{"b":1,"a":"\\ud800"}', False),
        ('{"b":NaN}', False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
def test_a_document_fits_whatever_the_order_of_its_keys_and_its_white_space(text, fitting):
    assert fits(read_constraint(OBJECT), text) == fitting


def test_keys_of_objects_that_a_schema_names_word_for_word_are_sorted_too():
    schema = read_constraint({"enum": [{"b": 1, "a": [{"d": 2, "c": 3}]}]})
    assert fits(schema, '{"a": [{"c": 3, "d": 2}], "b": 1}')
    assert not fits(schema, '{"a": [{"c": 2, "d": 3}], "b": 1}')


def test_a_text_fits_a_regular_expression_or_a_grammar_as_a_whole():
    expression = read_constraint(regex=r"^\d+ w\w+/x$")
    assert [fits(expression, text) for text in ("12 wör/x", "12 w/x", "12 wör/xx", "a 12 wör/x")] == [
        True,
        *[False] * 3,
    ]
    rules = read_constraint(grammar='%import common.INT\nstart: "(" INT ("," INT)* ")"')
    assert [fits(rules, text) for text in ("(1,23)", "(1)", "()", "(1,")] == [True, True, False, False]


def test_white_space_at_its_ends_is_none_of_the_answer():
    assert fits(read_constraint(regex=" (yes|no)\n"), "yes")
    assert not fits(read_constraint(regex=" (yes|no)\n"), "yesyes")


@pytest.mark.parametrize("tokenizer", [llama_tokenizer, qwen_tokenizer, lambda: load_tokenizer(CHECKPOINT)])
def test_tokens_are_known_by_the_text_that_they_stand_for(tokenizer):
    """As the tokenizer itself splits an answer, and byte for byte."""
    tokenizer = tokenizer()
    vocabulary = Vocabulary(tokenizer, "tiny")
    assert vocabulary.words == -(-len(tokenizer) // 32)
    for shape, text in (
        (read_constraint({"const": {"größe": ["a b", 1.5, None]}}), '{"größe":["a b",1.5,null]}'),
        (read_constraint(regex="(Yes|No), .+"), "Yes, 红色的圆 🦙"),
        (read_constraint(grammar='start: "A" " "? /[a-z ]+/ "."'), "A dog is here."),
    ):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        matcher = vocabulary.matcher(shape)
        assert all(matcher.consume_token(token) for token in ids), tokenizer.convert_ids_to_tokens(ids)
        assert matcher.is_accepting()
        assert vocabulary.matcher(shape).validate_tokens(ids) == len(ids)  # the first one has not used it up


def test_what_is_no_tokenizer_is_the_checkpoint_s_fault():
    with pytest.raises(ModelError, match=r"^tiny: its tokenizer is of a kind"):
        Vocabulary(object(), "tiny")
