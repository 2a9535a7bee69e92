# SPDX-License-Identifier: Apache-2.0
"""Texts from outside, checked once, where they come in: what is kept of them must be writable everywhere."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from llava_cli.errors import InputError, UsageError

DEEPEST = 64
"""Lists and objects inside of one another; what is nested deeper could not be relied on to be written again."""

_USERINFO = re.compile(r"(https?://)[^/?#]*@", re.IGNORECASE)


def is_text(value: Any) -> bool:
    """Whether a JSON value holds nothing but Unicode: no bytes that are not UTF-8, no half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Text that any terminal or file can take: bytes of a file name that are no characters become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def all_printable(value: Any) -> Any:
    """A JSON value all of whose texts are printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {all_printable(key): all_printable(part) for key, part in value.items()}
    return [all_printable(part) for part in value] if isinstance(value, list | tuple) else value


def path_entry(path: str) -> dict[str, str]:
    """A path as text, and its very bytes where they are no text."""
    shown = printable(path)
    if shown == path:
        return {"path": path}
    return {"path": shown, "path_b64": base64.b64encode(path.encode("utf-8", "surrogateescape")).decode("ascii")}


def check_text(what: str, *texts: str | None) -> None:
    """Make sure that what a user says is text.

    Raises:
        UsageError: no tokenizer could read it.
    """
    if not is_text(texts):
        raise UsageError(f"the {what} is not valid Unicode text")


def read_text(path: Path, most: int, what: str) -> str:
    """What a small file holds; of one that is too long the first `most` bytes.

    Raises:
        UsageError: it cannot be read as `what` it should be.
    """
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot be read as {what}: {error}") from error


def check_name(name: str) -> None:
    """Make sure that a file could have this name; it may be any bytes, as `os.fsdecode` gives them.

    Raises:
        InputError: none can.
    """
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise InputError(f"media: {name!a} cannot be a file's name") from error


def check_json(key: str, value: Any) -> None:
    """Make sure that a record can carry a value.

    Raises:
        InputError: it is no JSON, or no text, or nested too deep.
    """
    try:
        if _deeper_than(value, DEEPEST):
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        json.dumps({key: value}, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{ascii(key)[1:-1]} is not valid Unicode text") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{ascii(key)[1:-1]}: cannot be kept in a record: {error}") from error


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(part, levels - 1) for part in inside)


def masked(text: str) -> str:
    """A name, or a text with names in it, in which no URL holds a user name or a password any more.

    A URL with either is never read. Names go through this where they come in, so that none is told or kept.
    """
    return _USERINFO.sub(r"\1***@", text)
