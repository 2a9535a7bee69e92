# SPDX-License-Identifier: Apache-2.0
"""Fields of JSON files: given as they are where they are in order, and refused by file and name where they are not."""

from __future__ import annotations

import pytest

from llava_cli.errors import ModelError
from llava_cli.models.fields import LIBRARY, Fields

READ = {
    "object": lambda fields: fields.object("key").values,
    "integer": lambda fields: fields.integer("key", 7, most=9),
    "number": lambda fields: fields.number("key", 1.5, least=1),
    "numbers": lambda fields: fields.numbers("key", [0.5, 0.5], least=0),
    "text": lambda fields: fields.text("key", "none"),
    "texts": lambda fields: fields.texts("key"),
    "choice": lambda fields: fields.choice("key", "a", ("a", "b")),
    "indices": lambda fields: fields.indices("key", -1, length=3),
    "unset": lambda fields: fields.unset("key"),
    "numbered": lambda fields: fields.numbered("key", "max_9", prefix="max_"),
    "flag": lambda fields: fields.flag("key", True),
    "sizes": lambda fields: fields.sizes("key", [[4, 8]], unit=4),
    "edges": lambda fields: fields.edges("key", 8),
    "must_be": lambda fields: fields.must_be("key", True, True, "why"),
}


def fields(**values: object) -> Fields:
    return Fields({"part": values}, "tiny: config.json").object("part")


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("object", {}),
        ("integer", 7),
        ("number", 1.5),
        ("numbers", [0.5, 0.5]),
        ("text", "none"),
        ("texts", ()),
        ("choice", "a"),
        ("indices", [-1]),
        ("unset", None),
        ("numbered", 9),
        ("flag", True),
        ("sizes", [[4, 8]]),
        ("edges", ()),
        ("must_be", None),
    ],
)
def test_what_is_missing_or_null_has_its_default(kind, default):
    assert READ[kind](fields()) == READ[kind](fields(key=None)) == default


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("object", {"a": 1}, {"a": 1}),
        ("integer", 9, 9),
        ("number", 2, 2.0),
        ("numbers", [0, 0.25], [0, 0.25]),
        ("text", "", ""),
        ("texts", ["lm_head"], ("lm_head",)),
        ("choice", "b", "b"),
        ("indices", 2, [2]),
        ("indices", [-3, 0], [-3, 0]),
        ("unset", False, None),
        ("unset", "False", None),
        ("numbered", "max_12", 12),
        ("flag", False, False),
        ("flag", "False", False),
        ("flag", "true", True),
        ("sizes", [[8, 4], [4, 4]], [[8, 4], [4, 4]]),
        ("edges", {"shortest_edge": 8}, ("shortest_edge",)),
        ("edges", {"width": 8, "height": 8, "longest_edge": None}, ("height", "width")),
        ("edges", 8, ("shortest_edge",)),
        ("must_be", "True", None),
    ],
)
def test_what_is_in_order_is_given(kind, value, read):
    assert READ[kind](fields(key=value)) == read


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("object", [[], "x", 1, True]),
        ("integer", ["7", 7.0, True, 0, 10, -1, [7], {}, 10**400, float("nan")]),
        ("number", ["2", 0.5, True, float("nan"), float("inf"), 10**400, [2]]),
        ("numbers", [0.5, [0.5], [0.5] * 3, ["a", "b"], [-1, 0], [None, 1], {"a": 1, "b": 2}]),
        ("text", [1, ["x"], {}]),
        ("texts", ["x", [1], {"x": 1}]),
        ("choice", ["c", ["a"], {}, 1]),
        ("indices", [3, -4, "1", 1.0, True, [], [0, 3], ["0"], {}]),
        ("unset", [True, "True", "spatial_pool", [], 1]),
        ("numbered", ["max_", "max_0", "max_x", "max_1_", "9", 9, ["max_9"]]),
        ("flag", ["no", 1, []]),
        ("edges", [9, "8", [8], {}, {"height": 8}, {"height": 8, "width": 9}, {"longest_edge": 8}, {"height": [8]}]),
        ("must_be", [False, "false", 1]),
        ("sizes", [[], [4, 8], [[4]], [[4, 6]], [[0, 4]], [[-4, 4]], [["4", "8"]], "4x8", [[4, 8], None], 4]),
    ],
)
def test_what_is_not_is_refused_by_file_and_name(kind, values):
    for value in values:
        with pytest.raises(ModelError, match=r"^tiny: config\.json says part\.key = [^\n]*; it must be [^\n]+$"):
            READ[kind](fields(key=value))


def test_a_part_that_must_be_there():
    with pytest.raises(ModelError, match=r"^tiny: config\.json has no vision_config; it must be an object$"):
        Fields({}, "tiny: config.json").object("vision_config", required=True)


def test_what_is_missing_is_asked_of_the_library_only_where_it_is_needed():
    asked = []

    def library() -> dict:
        asked.append(1)
        return {"part": {"key": 5, "mode": "a"}, "flat": 2}

    whole = Fields({"said": 1, "part": {"said": 3}}, "tiny: config.json", library=library)
    part = whole.object("part")
    assert (whole.integer("said"), part.integer("said"), part.integer("key", 7)) == (1, 3, 7)
    assert not asked
    assert (whole.integer("flat"), part.integer("key"), part.choice("mode", LIBRARY, ("a", "b"))) == (2, 5, "a")
    with pytest.raises(ModelError, match=r"^tiny: config\.json has no part\.other; it must be"):
        part.integer("other")


def test_what_the_library_says_is_checked_too():
    """It may contradict other fields."""
    with pytest.raises(ModelError, match=r"says key = 5; it must be a whole number from 1 to 4"):
        Fields({}, "tiny: config.json", library=lambda: {"key": 5}).integer("key", most=4)
