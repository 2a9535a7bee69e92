# SPDX-License-Identifier: Apache-2.0
"""What is text, what can be a name, what a record can carry."""

from __future__ import annotations

import json
import math

import pytest

from llava_cli.errors import InputError, UsageError
from llava_cli.request import Request
from llava_cli.texts import DEEPEST, check_json, check_name, check_text, is_text

NO_TEXT = ["\ud83d", "a\udcffb", ["\ud800"], {"\ud800": 1}, {"a": [{"b": "\udfff"}]}]


@pytest.mark.parametrize("value", NO_TEXT)
def test_halves_of_characters_and_bytes_that_are_none_are_found_wherever_they_are(value):
    assert not is_text(value)
    with pytest.raises(InputError, match=r"^note is not valid Unicode text$"):
        check_json("note", value)


@pytest.mark.parametrize("value", ["", "é \U0001f600\n\0", None, 1, ["a", {"b": "\ufffd"}]])
def test_everything_else_is_text(value):
    assert is_text(value)
    check_json("note", value)


def nested(levels: int) -> list:
    return [nested(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize("value", [math.nan, math.inf, {1j}, object(), b"bytes", nested(DEEPEST + 1), [10**5000]])
def test_what_json_cannot_hold_is_no_record_s(value):
    with pytest.raises(InputError, match="note: cannot be kept in a record: "):
        check_json("note", value)


def test_what_is_nested_as_deep_as_allowed_is_kept():
    check_json("note", nested(DEEPEST))


def test_a_list_that_holds_itself_is_refused():
    own: list = []
    own.append(own)
    with pytest.raises(InputError, match="nested deeper"):
        check_json("note", own)


def test_a_name_may_be_any_bytes_but_no_half_of_a_character():
    check_name(b"\xff\n.mp4".decode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"'a\\ud83d.mp4' cannot be a file's name"):
        check_name("a\ud83d.mp4")


def test_an_error_about_a_key_that_is_no_text_can_be_written():
    with pytest.raises(InputError) as raised:
        check_json("\ud83d", 1)
    json.dumps(str(raised.value), ensure_ascii=False).encode()


@pytest.mark.parametrize("asked", [{"question": "Wh\udcff?"}, {"system": "\ud800"}])
def test_there_is_no_request_that_is_no_text(asked):
    with pytest.raises(UsageError, match=r"^the (question|system prompt) is not valid Unicode text$"):
        Request(**asked)
    check_text("question", None, "Why?")
