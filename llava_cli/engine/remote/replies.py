# SPDX-License-Identifier: Apache-2.0
"""What a server says: an answer beyond doubt, or an error in our words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from llava_cli.errors import ModelError
from llava_cli.words import one_line

_LONGEST_TOKEN = 256
"""Characters; vocabularies have some of a hundred and more, all of them blanks or the like."""
_LONGEST_SAID = 300
"""Characters that are told of what a server says of itself or of an error."""
_MOST_TOKENS = 1 << 31


class Refused(ModelError):
    """The server does not do what it was asked for, and would not the next time."""

    code = "refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ServerError(ModelError):
    """The server fails, or what it says is no answer."""

    code = "server"
    status: int | None = None
    """HTTP's number, where it says that it fails."""


class BrokenOff(Exception):
    """A stream ended before the answer did."""


@dataclass(frozen=True)
class Reply:
    """A server's answer."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    first_s: float = 0.0
    """Seconds from the request to the first words; 0 where they came all at once."""
    total_s: float = 0.0


class Streamed:
    """An answer that comes in pieces, as far as it has come."""

    def __init__(self, tell: Callable[[str], None], most_tokens: int) -> None:
        self._tell, self._most_tokens = tell, most_tokens
        self._pieces: list[str] = []
        self._length = 0
        self._usage: Any = None
        self._end: Any = None
        self.first_s = 0.0

    @property
    def told(self) -> bool:
        """Whether anything has been told."""
        return bool(self._pieces)

    def add(self, chunk: Any, after_s: float) -> None:
        """Take what the server has sent so many seconds after it was asked.

        Raises:
            ServerError: it is longer than any answer.
        """
        choice = _choice(chunk)
        piece = getattr(getattr(choice, "delta", None), "content", None)
        if isinstance(piece, str) and piece:
            self.first_s = self.first_s or after_s
            self._pieces.append(piece)
            self._length += len(piece)
            check_length(self._length, self._most_tokens)
            self._tell(piece)
        if getattr(choice, "finish_reason", None) is not None:
            self._end = choice
        self._usage = getattr(chunk, "usage", None) or self._usage

    def reply(self, total_s: float) -> Reply:
        """The answer, once the stream has ended.

        Raises:
            BrokenOff: it has ended too early.
            ServerError: it is no answer.
        """
        if self._end is None:
            raise BrokenOff("the connection was closed before its end")
        reason = self._end.finish_reason
        return _checked("".join(self._pieces), reason, self._usage, self._most_tokens, self.first_s, total_s)


def whole_reply(said: Any, most_tokens: int, total_s: float) -> Reply:
    """An answer that came all at once.

    Raises:
        ServerError: it is none.
    """
    choice = _choice(said)
    text = getattr(getattr(choice, "message", None), "content", None)
    reason = getattr(choice, "finish_reason", None)
    return _checked(text, reason, getattr(said, "usage", None), most_tokens, 0.0, total_s)


def _checked(text: Any, reason: Any, usage: Any, most_tokens: int, first_s: float, total_s: float) -> Reply:
    if not isinstance(text, str):
        raise ServerError("what it says is no answer to a question")
    if reason not in ("stop", "length"):
        raise ServerError(f"the answer was not finished: finish_reason is {in_short(str(reason))}")
    check_length(len(text), most_tokens)
    prompt = _count(usage, "prompt_tokens")
    new = _count(usage, "completion_tokens")
    if not prompt or new is None:
        raise ServerError(
            "it does not say how many tokens the prompt had (usage), so whether it has seen the media cannot be known"
        )
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens") or 0
    return Reply(text, reason, prompt, new, min(cached, prompt), first_s, total_s)


def check_length(characters: int, most_tokens: int) -> None:
    """Refuse what no model says.

    Raises:
        ServerError: so many tokens cannot be so many characters.
    """
    if characters > _LONGEST_TOKEN * most_tokens:
        raise ServerError(f"its answer is longer than {most_tokens} tokens can be")


def message_of(body: Any) -> str | None:
    """What the body of an error says, wherever a server puts that."""
    for key in ("error", "message", "detail"):
        body = body.get(key, body) if isinstance(body, dict) else body
    if isinstance(body, str):
        return "a page in HTML" if body.lstrip().startswith("<") else body
    return json.dumps(body) if body else None


def in_short(said: Any) -> str | None:
    """Words of a server's in one line, and not too many; None where there are none."""
    text = one_line(" ".join(said.split())) if isinstance(said, str) else ""
    return (text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}…") or None


def _choice(said: Any) -> Any:
    choices = getattr(said, "choices", None)
    return choices[0] if isinstance(choices, list) and choices else None


def _count(usage: Any, name: str) -> int | None:
    number = getattr(usage, name, None)
    return number if type(number) is int and 0 <= number < _MOST_TOKENS else None
