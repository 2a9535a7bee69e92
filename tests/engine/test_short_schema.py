# SPDX-License-Identifier: Apache-2.0
"""Schemas in short: what they stand for, and what is wrong with those that are none."""

from __future__ import annotations

import pytest

from llava_cli.engine.short_schema import expand, is_short
from llava_cli.errors import UsageError


def test_each_key_has_a_type_and_all_of_them_are_there_in_this_order():
    assert expand("people int, dog bool,colours [str] ,how-far  float, größe [ int ]") == {
        "type": "object",
        "properties": {
            "people": {"type": "integer"},
            "dog": {"type": "boolean"},
            "colours": {"type": "array", "items": {"type": "string"}},
            "how-far": {"type": "number"},
            "größe": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["people", "dog", "colours", "how-far", "größe"],
        "additionalProperties": False,
    }
    assert list(expand("b int, a int")["properties"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("people int, dog bol", "^key 2: dog: no such type: bol; there are int, float, bool, str, or one of them in"),
        ("people int, dog", "^key 2: must be a name and a type, such as people int, not 'dog'"),
        ("people int,", "^key 2: must be a name"),
        ("a [int", "^key 1: must be a name"),
        ("a int]", "^key 1: must be a name"),
        ("1st int", "^key 1: must be a name"),
        ("a int, b str, a str", "^key 3: a: is there already"),
    ],
)
def test_what_is_wrong_is_told_with_the_key(text, told):
    with pytest.raises(UsageError, match=told):
        expand(text)


def test_a_file_s_name_is_not_taken_for_one():
    assert is_short("people int")
    assert is_short(" people integer, x")
    assert not any(map(is_short, ["people.json", "schema", "", "/tmp/a b.json", "{}"]))
