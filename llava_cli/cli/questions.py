# SPDX-License-Identifier: Apache-2.0
"""The questions of `--prompt`: as they are typed, from files, or from standard input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llava_cli.errors import InputError, UsageError
from llava_cli.stdin import open_stdin, stdin_is_terminal
from llava_cli.texts import check_text

_LONGEST = 1 << 20
"""Bytes; no context is as long."""


def read_questions(given: Sequence[str] | None) -> list[str]:
    """What is asked: each text itself, of `@FILE` what the file holds, of `-` what standard input does.

    Raises:
        UsageError: a question is empty or no Unicode, or standard input is a terminal or wanted twice.
        InputError: a file cannot be read, or is no text.
    """
    texts = list(given or ())
    if texts.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    questions = [_read(text) for text in texts]
    check_text("question", *questions)
    if not all(question.strip() for question in questions):
        raise UsageError("the question is empty")
    return questions


def _read(text: str) -> str:
    if text != "-" and (len(text) < 2 or not text.startswith("@")):
        return text
    if text == "-" and stdin_is_terminal():
        raise UsageError("--prompt -: standard input is a terminal; pipe a question into it")
    name = "standard input" if text == "-" else text[1:]
    try:
        with open_stdin() if text == "-" else Path(name).open("rb") as stream:
            content = stream.read(_LONGEST + 1)
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file; --prompt @FILE asks what a file holds") from error
    except OSError as error:
        raise InputError(f"{name}: the question cannot be read from it: {error.strerror}") from error
    if len(content) > _LONGEST:
        raise InputError(f"{name}: is longer than {_LONGEST >> 20} MiB; no question is")
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is not UTF-8 text") from error
