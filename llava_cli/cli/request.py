# SPDX-License-Identifier: Apache-2.0
"""What a command line asks: media and a question, perhaps after a conversation from a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_cli.cli import steps
from llava_cli.errors import InputError, UsageError
from llava_cli.media.clip import View
from llava_cli.media.worker.parent import Worker
from llava_cli.models import messages
from llava_cli.models.messages import Conversation, MediaPath, Message, load_turns, read_chat
from llava_cli.output import Output


@dataclass(frozen=True)
class Request:
    """A question, its media, and what was said before; nothing is read yet."""

    question: str
    paths: tuple[str, ...]
    """All media, those of earlier messages first."""
    history: tuple[Message, ...] = ()
    asked: tuple[str, ...] | None = None
    """The media of the question itself; None where the history ends with it."""
    system: str | None = None

    def build(self, view: View, out: Output, worker: Worker) -> Conversation:
        """Read the media in a view."""
        turns = load_turns(list(self.history), lambda path: steps.load_all([path], view, out, worker)[0])
        if self.asked is not None:
            media = steps.load_all(self.asked, view, out, worker)
            turns += messages.ask(self.question, media).turns
        return messages.with_system(Conversation(tuple(turns)), self.system)


def read_request(arguments: Sequence[str], prompt: str | None, chat: Path | None, system: str | None) -> Request:
    """The request of a command line.

    Raises:
        UsageError: the question or the media are missing.
        InputError: the conversation file is not in order.
    """
    if chat is None:
        paths, question = split_arguments(arguments, prompt)
        return Request(question, tuple(paths), asked=tuple(paths), system=system)
    history = tuple(read_chat(chat))
    shown = tuple(part.path for message in history for part in message.parts if isinstance(part, MediaPath))
    if arguments or prompt is not None:
        asked = tuple(arguments if prompt is not None else arguments[:-1])
        request = Request(prompt or arguments[-1], shown + asked, history, asked, system)
    elif history[-1].role == "user":
        question = " ".join(part for part in history[-1].parts if isinstance(part, str))
        request = Request(question, shown, history, None, system)
    else:
        raise InputError(f"{chat}: ends with a message of the {history[-1].role}; a question must follow")
    if not request.paths:
        raise InputError(f"{chat}: shows no video and no image")
    return request


def split_arguments(arguments: Sequence[str], prompt: str | None) -> tuple[list[str], str]:
    """The media and the question of a command line.

    Raises:
        UsageError: one of them is missing.
    """
    example = 'llava ask video.mp4 "why is this funny?"'
    if not arguments:
        raise UsageError(f"a video or an image is missing; try: {example}")
    paths, question = (list(arguments), prompt) if prompt is not None else (list(arguments[:-1]), arguments[-1])
    if not paths:
        missing = "the question" if os.path.lexists(arguments[-1]) else "the video or image it is about"
        raise UsageError(f"{arguments[-1]}: {missing} is missing; try: {example}")
    if not question.strip():
        raise UsageError("the question is empty")
    if paths.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    return paths, question
