# SPDX-License-Identifier: Apache-2.0
"""Text as it comes: no character torn, nothing held back that can be shown."""

from __future__ import annotations

import pytest
from tiny.tokenizers import llama_tokenizer

from llava_cli.engine.generate import TextStream


@pytest.mark.parametrize(
    "text", ["One two. Three", "红色的圆向右移动。", "first line\nsecond line\n\nfourth", "a 🦙 b", "  x  "]
)
def test_pieces_join_to_the_text_and_none_is_torn(text: str):
    tokenizer = llama_tokenizer()
    stream = TextStream(tokenizer)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    pieces = [stream.put(token) for token in ids]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join([*pieces, stream.end()]) == text.strip()


def test_text_without_spaces_streams_character_by_character():
    tokenizer = llama_tokenizer()
    stream = TextStream(tokenizer)
    pieces = [stream.put(token) for token in tokenizer("红色的圆", add_special_tokens=False).input_ids]
    assert [piece for piece in pieces if piece] == list("红色的圆")


def test_a_line_is_shown_before_the_next_one_begins():
    tokenizer = llama_tokenizer()
    stream = TextStream(tokenizer)
    shown = "".join(stream.put(token) for token in tokenizer("one line\n", add_special_tokens=False).input_ids)
    assert shown == "one line"
