# SPDX-License-Identifier: Apache-2.0
"""JSON schemas drawn at random, with bounds on everything: a model that knows nothing must come to an end too."""

from __future__ import annotations

from random import Random
from typing import Any


def random_schema(random: Random, depth: int = 3) -> dict[str, Any]:
    """An object's schema."""
    return _object(random, depth)


def _any(random: Random, depth: int) -> dict[str, Any]:
    simple = [_integer, _number, _string, _enum, _other]
    kinds = simple if depth <= 0 else [*simple, _object, _array, _choice]
    return random.choice(kinds)(random, depth - 1)


def _object(random: Random, depth: int) -> dict[str, Any]:
    names = random.sample(
        ["people", "dog", "größe", "a b", 'qu"ote', "colours", "x/y", "sky", "1st", ""], random.randint(1, 4)
    )
    properties = {name: _any(random, depth) for name in names}
    required = random.sample(names, random.randint(0, len(names)))
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _array(random: Random, depth: int) -> dict[str, Any]:
    least = random.randint(0, 2)
    return {"type": "array", "items": _any(random, depth), "minItems": least, "maxItems": least + random.randint(0, 2)}


def _choice(random: Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_any(random, depth) for _ in range(random.randint(1, 3))]}


def _integer(random: Random, _: int) -> dict[str, Any]:
    least = random.randint(-2000, 2000)
    return {"type": "integer", "minimum": least, "maximum": least + random.randint(0, 5000)}


def _number(random: Random, _: int) -> dict[str, Any]:
    return {"enum": [random.randint(-9, 9) / 4 for _ in range(3)]}


def _string(random: Random, _: int) -> dict[str, Any]:
    patterns = ["^[a-z]{2,6}$", "^(red|green|blue) sky$", r"^\d{1,3}:\d\d$"]
    least = random.randint(0, 3)
    bounded = {"type": "string", "minLength": least, "maxLength": least + random.randint(0, 8)}
    return random.choice([bounded, {"type": "string", "pattern": random.choice(patterns)}])


def _enum(random: Random, _: int) -> dict[str, Any]:
    values = ["red", "größer", 'a "b"', 7, -1.5, True, None, [1, "x"], {"k": []}]
    return {"enum": random.sample(values, random.randint(1, 4))}


def _other(random: Random, _: int) -> dict[str, Any]:
    return random.choice([{"type": "boolean"}, {"type": "null"}, {"const": random.choice(["yes", 0, False])}])
