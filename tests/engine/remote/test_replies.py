# SPDX-License-Identifier: Apache-2.0
"""What servers say of errors and of themselves, and how much of an answer is one; tests of requests have the rest."""

from __future__ import annotations

from types import SimpleNamespace as Said

import pytest

from llava_cli.engine.remote.replies import BrokenOff, ServerError, Streamed, in_short, message_of, whole_reply


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"error": "no"}, "no"),
        ("no", "no"),
        ({"detail": [{"loc": ["x"]}]}, '[{"loc": ["x"]}]'),
        (" <!doctype html>", "a page in HTML"),
        (None, None),
        ({}, None),
    ],
)
def test_messages_wherever_they_are(body: object, told: str | None) -> None:
    assert message_of(body) == told


def test_words_of_others_in_short() -> None:
    assert in_short("a\n b\x1b[2J") == r"a b\x1b[2J"
    assert in_short("x" * 1000) == "x" * 300 + "…"
    assert in_short(" ") is in_short(3) is in_short(None) is None


USAGE = Said(prompt_tokens=9, completion_tokens=2, prompt_tokens_details=Said(cached_tokens=4))


def test_tokens_that_the_server_had_cached() -> None:
    said = Said(choices=[Said(message=Said(content="Yes"), finish_reason="length")], usage=USAGE)
    reply = whole_reply(said, 10, 1.0)
    assert (reply.text, reply.finish_reason, reply.prompt_tokens, reply.cached_tokens) == ("Yes", "length", 9, 4)


def test_an_answer_too_long_is_stopped_while_it_comes() -> None:
    told: list[str] = []
    streamed = Streamed(told.append, 1)
    piece = Said(choices=[Said(delta=Said(content="x" * 100), finish_reason=None)])
    for _ in range(2):
        streamed.add(piece, 0.1)
    with pytest.raises(ServerError, match="longer than 1 tokens can be"):
        streamed.add(piece, 0.1)
    assert len(told) == 2


def test_a_stream_that_ends_without_an_end() -> None:
    streamed = Streamed(lambda _: None, 10)
    streamed.add(Said(choices=[Said(delta=Said(content="Yes"), finish_reason=None)], usage=USAGE), 0.1)
    with pytest.raises(BrokenOff):
        streamed.reply(1.0)
    streamed.add(Said(choices=[Said(delta=Said(content=None), finish_reason="stop")], usage=None), 0.2)
    assert (streamed.reply(1.0).text, streamed.reply(1.0).first_s) == ("Yes", 0.1)
