# SPDX-License-Identifier: Apache-2.0
"""The tokenizer and the chat template that the demo checkpoint ships."""

import json

import pytest
from transformers import PreTrainedTokenizerFast

from llava_cli.demo import CHECKPOINT, language, show
from llava_cli.demo.training.tokenizer import (
    CHAT_TEMPLATE,
    PREFIX,
    VOCABULARY,
    answer_form,
    build_tokenizer,
    follow_up_form,
    question_form,
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(CHECKPOINT)


@pytest.mark.parametrize(
    "text",
    [
        "What shape is it?",
        "Why is this funny? 💥 naïve\n\ttab",
        " two  spaces ",
        "日本語",
        "The circle moves to the right.",
    ],
)
def test_any_text_survives(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_special_ids_are_those_of_the_config(tokenizer: PreTrainedTokenizerFast) -> None:
    config = json.loads((CHECKPOINT / "config.json").read_text())
    ids = tokenizer.convert_tokens_to_ids(["<pad>", "<s>", "</s>", "<video>", "<image>"])
    assert ids == [0, 1, 2, 3, 4]
    assert (config["video_token_index"], config["image_token_index"]) == (3, 4)
    assert len(tokenizer) == VOCABULARY == config["text_config"]["vocab_size"]


def test_training_forms_join_to_what_the_template_writes(tokenizer: PreTrainedTokenizerFast) -> None:
    question, later, answer = "What colour is it?", "And the shape?", language.describe(show.CLIP)
    turns = [
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": question}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        {"role": "user", "content": [{"type": "text", "text": later}]},
    ]
    written = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    parts = [question_form(question), answer_form(answer), follow_up_form(later)]
    assert written == PREFIX + "<video>" + "".join(parts)
    apart = tokenizer(PREFIX + "<video>").input_ids
    for part in parts:
        apart += tokenizer(part, add_special_tokens=False).input_ids
    assert tokenizer(written).input_ids == apart
    assert apart[0] == 1


def test_a_system_message_comes_first() -> None:
    tokenizer = build_tokenizer(clips=50)
    turns = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}]
    turns.append({"role": "user", "content": [{"type": "text", "text": "Why?"}, {"type": "image"}]})
    written = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert written == "Be brief. USER: <image>\nWhy? ASSISTANT:"
    assert tokenizer.chat_template == CHAT_TEMPLATE


def test_the_grammar_and_a_seed_make_the_same_tokenizer_again() -> None:
    one, other = (build_tokenizer(seed=3, clips=100).get_vocab() for _ in range(2))
    assert one == other
    assert one != build_tokenizer(seed=4, clips=100).get_vocab()
