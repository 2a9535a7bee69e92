# SPDX-License-Identifier: Apache-2.0
"""A conversation that goes on: its turns, its media, and what each answer cost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llava_cli.answer import Answer, AnswerStream
from llava_cli.atomic import check_writable, write_file
from llava_cli.engine.kv_cache import KVCache
from llava_cli.errors import LlavaError, UsageError
from llava_cli.media.clip import Media
from llava_cli.media.opened import OpenMedia
from llava_cli.models.messages import Medium, Message, by_name, chat_text, media_path, shortest
from llava_cli.record import error_record
from llava_cli.request import Request
from llava_cli.session import Session


class Chat:
    """Questions one after the other. The model sees the media once; each question costs only its own tokens."""

    def __init__(self, session: Session, request: Request) -> None:
        """Begin a conversation.

        Args:
            request: how to see and to answer; its history goes before the first question, which brings its media.

        Raises:
            UsageError: it says that its question is a whole prompt, or asks for what a server cannot do.
        """
        if request.raw:
            raise UsageError("a raw prompt is the whole prompt: it cannot be part of a conversation")
        session.check(request)
        self._session = session
        self._settings = replace(request, question=None, media=(), history=())
        self._media = OpenMedia(session.pool, session.limits)
        self._cache = KVCache()
        self.history = list(request.history)
        """What was said, media by name."""
        self.waiting: list[Medium] = list(request.media)
        """Media that the next question brings."""
        self.answers: list[Answer] = []
        asked = self._request()
        self._media.begin(session.views(asked))

    @property
    def system(self) -> str | None:
        """The system prompt, with which every prompt begins; None for none.

        Raises (where it is set):
            UsageError: it is no text.
        """
        return self._settings.system

    @system.setter
    def system(self, text: str | None) -> None:
        self._settings = replace(self._settings, system=text)

    @property
    def choices(self) -> tuple[str, ...] | None:
        """What the answers are chosen from; None has them generated.

        Raises (where it is set):
            UsageError: these are no choices.
        """
        return self._settings.choices

    @choices.setter
    def choices(self, texts: Sequence[str] | None) -> None:
        self._settings = replace(self._settings, choices=None if texts is None else tuple(texts))

    @property
    def media(self) -> list[Media]:
        """All media, in order, as they are shown.

        Raises:
            InputError: one cannot be read.
        """
        return self._session.look(self._request(), self._media)

    def prepare(self) -> None:
        """Have the media decoded and the weights read, before the first question.

        Raises:
            InputError: a file cannot be read.
            OutOfMemory: the checkpoint does not fit into the memory.
        """
        _ = self._session.loader
        self._media.tell_of(self.media)
        _ = self._session.engine

    def add(self, *media: str) -> None:
        """Show more files with the next question.

        Raises:
            InputError: one cannot be read; then none is added.
        """
        self._media.tell_of(self._session.look(replace(self._settings, media=media), self._media))
        self.waiting += media

    def drop(self, name: str | None = None) -> str:
        """Do not show a file after all that waits for the next question: the one of this name, or the last.

        Raises:
            UsageError: none waits, or none of this name.
        """
        if not self.waiting:
            raise UsageError("no file waits for the next question; /undo takes back one that was shown")
        names = self.waiting_names
        dropped = names[-1] if name is None else name
        if dropped not in names:
            raise UsageError(f"{dropped}: does not wait for the next question; waiting: {', '.join(names)}")
        del self.waiting[-1 - names[::-1].index(dropped)]
        return dropped

    @property
    def waiting_names(self) -> list[str]:
        """The names of the media that the next question brings."""
        return [media_path(medium).path for medium in self.waiting]

    def ask(self, question: str) -> Answer:
        """Answer the next question.

        Raises:
            LlavaError: it cannot be answered; the conversation stays as it was.
        """
        return self.stream(question).result()

    def stream(self, question: str, stop: Callable[[], bool] | None = None) -> AnswerStream:
        """Answer the next question piece by piece; `stop` is asked after each token whether to end there."""
        return AnswerStream(self._pieces(question, stop))

    def undo(self) -> str:
        """Take back the last question and its answer; its media wait for the next question. The question's words.

        Raises:
            UsageError: there is none.
        """
        if len(self.history) < 2:
            raise UsageError("nothing to undo")
        question = self.history[-2]
        self.waiting = [*map(shortest, question.media), *self.waiting]
        del self.history[-2:]
        del self.answers[-1:]
        return " ".join(part for part in question.parts if isinstance(part, str))

    def failure(self, error: LlavaError) -> dict[str, Any]:
        """The record of a failure of this conversation; see llava-record(5)."""
        known = {"asked": dict.fromkeys(Request().asked()), "model": self._session.known_model}
        return error_record(error, **{**known, **error.known})

    def save(self, path: Path) -> None:
        """Write the conversation, for `llava ask --conversation`.

        Raises:
            UsageError, InputError: there is nothing to write, or it shows standard input.
            OutputError: it cannot be written.
        """
        if not self.history:
            raise UsageError("nothing to save yet")
        check_writable(path)
        system = [Message("system", (self.system,))] if self.system else []
        write_file(path, chat_text([*system, *self.history], path.parent).encode())

    def close(self) -> None:
        """Remove what was copied of pipes."""
        self._media.close()

    def __enter__(self) -> Chat:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, question: str | None = None) -> Request:
        """What a question asks; without one, what there is to see."""
        return replace(
            self._settings,
            question=question,
            media=tuple(self.waiting),
            history=tuple(self.history),
        )

    def _pieces(self, question: str, stop: Callable[[], bool] | None) -> Generator[str, None, Answer]:
        asked = self._request(question)
        with asked.known_to_failures():
            prepared = self._session.prepare(asked, self._media)
            stream = self._session.stream(prepared, self._media, self._cache, stop)
            yield from stream
            answer = stream.result()
        done = answer.prepared
        names = dict(zip(map(id, done.media), done.request.shown, strict=True))
        said = [message for message in by_name(done.query.conversation.turns, names) if message.role != "system"]
        self.history = [*said, Message("assistant", (answer.text,))]
        self.waiting = []
        self.answers.append(answer)
        # What did not fit once will not the next time.
        self._settings = replace(self._settings, choice=done.request.choice)
        return answer
