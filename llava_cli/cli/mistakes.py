# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a command line, in one line of our own words: the option, what it takes, and what to try."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from llava_cli.cli.help import long_name
from llava_cli.config import config_path
from llava_cli.errors import UsageError


def told(ctx: Any, error: Any) -> UsageError:
    """The library's error about a command line as ours."""
    option = getattr(error, "param", None)
    summary = f"see {ctx.command_path} -h"
    if option is None:
        wrong = f"{error.message[:1].lower()}{error.message[1:]}".rstrip(".")
        close = get_close_matches(
            getattr(error, "option_name", ""), getattr(error, "possibilities", None) or (), 1, 0.7
        )
        return UsageError(f"{wrong}; did you mean {close[0]}?" if close else f"{wrong}; {summary}")
    name = option.metavar if option.param_type_name == "argument" else long_name(option)
    if type(error).__name__ == "MissingParameter":
        return UsageError(f"{name} is missing; {summary}")
    wrong = "must be true or false" if getattr(option, "is_flag", False) else error.message
    origin = _origin(ctx, option)
    return UsageError(f"{name}: {wrong}{f' (set by {origin})' if origin else ''}")


def _origin(ctx: Any, option: Any) -> str | None:
    """Where a value came from, if not from the command line."""
    match getattr(ctx.get_parameter_source(option.name), "name", None):
        case "ENVIRONMENT":
            return str(option.envvar)
        case "DEFAULT_MAP":
            return f"{long_name(option).removeprefix('--')} in {config_path()}"
    return None


def no_such_command(path: str, commands: Sequence[str], arguments: Sequence[str]) -> UsageError:
    """The error where the first word is no command; it may be a file that was to be asked about."""
    wrong = f"no such command: {path} {arguments[0]}"
    close = get_close_matches(arguments[0], commands)
    if close:
        return UsageError(f"{wrong}; did you mean {' or '.join(f'{path} {name}' for name in close)}?")
    if any(map(names_a_file, arguments)):
        return UsageError(f"{wrong}; did you mean: llava ask {shlex.join(arguments)}")
    return UsageError(f"{wrong}; see {path} -h")


def names_a_file(word: str) -> bool:
    """Whether this seems to be meant as a video or an image, not as a part of a question."""
    from llava_cli.batch.files import EXTENSIONS

    suffix = os.path.splitext(word)[1][1:].lower()
    return word == "-" or "://" in word or suffix in EXTENSIONS or os.path.lexists(word)


def check_order(media: Sequence[str], question: str) -> None:
    """Look whether what stands in the question's place is one, and before it only media.

    Raises:
        UsageError: it is a file; the question comes first, or is not quoted, or is missing.
    """
    words = [name for name in media if not names_a_file(name)]
    if question == "-":
        raise UsageError("-: the question is missing; '-' is a video or an image, and -p - reads a question")
    if os.path.lexists(question):
        if len(words) == 1 and words[0] == media[0]:
            right = shlex.join([*media[1:], question, media[0]])
            raise UsageError(f"the question comes after the media: llava ask {right}")
        raise UsageError(f"{question}: the question is missing, for this is a file; -p TEXT asks even so")
    if words and words[0] != media[0] and "." not in "".join(words):
        first = media.index(words[0])
        right = shlex.join([*media[:first], " ".join([*media[first:], question])])
        raise UsageError(f"{words[0]}: no such file; a question of several words needs quotes: llava ask {right}")
