# SPDX-License-Identifier: Apache-2.0
"""JSON schemas in short: `people int, dog bool, colours [str]` is an object with these keys, all of which are there."""

from __future__ import annotations

import re
from typing import Any

from llava_cli.errors import UsageError

_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}
_KNOWN = f"{', '.join(_TYPES)}, or one of them in brackets for a list"
_FIELD = re.compile(r"(?P<name>[^\W\d][\w-]*)\s+(?P<list>\[\s*)?(?P<type>\w+)(?(list)\s*\])")


def is_short(text: str) -> bool:
    """Whether a text seems to be meant as one of these, and not as a file's name."""
    return bool(_FIELD.match(text.strip()))


def expand(text: str) -> dict[str, Any]:
    """The JSON schema.

    Raises:
        UsageError: it is none in short; the message says at which key.
    """
    properties: dict[str, Any] = {}
    for number, part in enumerate(text.split(","), 1):
        found = _FIELD.fullmatch(part.strip())
        if found is None:
            raise UsageError(f"key {number}: must be a name and a type, such as people int, not {part.strip()[:40]!r}")
        name, kind = found["name"], _TYPES.get(found["type"])
        if kind is None:
            raise UsageError(f"key {number}: {name}: no such type: {found['type']}; there are {_KNOWN}")
        if name in properties:
            raise UsageError(f"key {number}: {name}: is there already")
        properties[name] = {"type": "array", "items": {"type": kind}} if found["list"] else {"type": kind}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
