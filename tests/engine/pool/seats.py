# SPDX-License-Identifier: Apache-2.0
"""Engines that only pretend, and those that die: what the tests of pools put into their places."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pictures import clip

from llava_cli.engine.placement import Room
from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.pool.seam import Outcome, Terms
from llava_cli.engine.types import Completion, ModelInfo, Query
from llava_cli.errors import ModelError
from llava_cli.models.messages import Conversation, ask
from llava_cli.models.prompt import Prompt

INFO = ModelInfo("stub", None, "stub", "float32", None, "cpu", "sdpa")
TERMS = Terms(INFO, (Room("cpu", 1e12),))
WAIT_S = 30.0


def query(question: str = "Why?") -> Query:
    return Query(ask(question, [clip(2, 4, 4)]))


def question_of(conversation: Conversation) -> str:
    return str(conversation.turns[-1].parts[-1])


def said(batch: Sequence[Query]) -> Outcome:
    """An answer to each question: itself, louder."""
    media = [query.conversation.media for query in batch]
    return Outcome(
        INFO,
        [
            Completion(question_of(q.conversation).upper(), "stop", m, (1,) * len(m), 1, 1, "family")
            for q, m in zip(batch, media, strict=True)
        ],
        0.0,
    )


class FakeSeat:
    """A place in this process. What it does next is told by whoever made it."""

    def __init__(self, name: str = "here", **does: Callable[..., object]) -> None:
        self.name = name
        self.does = does
        self.calls: list[str] = []
        self.ended = threading.Event()

    def _do(self, name: str, *arguments: object) -> object:
        self.calls.append(name)
        return self.does[name](*arguments) if name in self.does else None

    def start(self) -> Terms:
        return self._do("start") or TERMS

    def load(self) -> None:
        self._do("load")

    def answer(self, batch: Sequence[Query]) -> Outcome:
        return self._do("answer", batch) or said(batch)

    def kill(self) -> None:
        self._do("kill")

    def end(self) -> None:
        self.ended.set()


@dataclass
class StubRunner:
    """Answers at once, from another process; questions that name an end meet it."""

    loads: bool = True

    def start(self) -> Terms:
        return TERMS

    def load(self) -> None:
        if not self.loads:
            raise ModelError("stub: is damaged")

    def answer(self, batch: Sequence[Query]) -> Outcome:
        return answered(batch)


def answered(batch: Sequence[Query]) -> Outcome:
    """As `said`, unless a question wants something else; files called poison end the process."""
    for query in batch:
        if any("poison" in medium.info.path for medium in query.conversation.media):
            os._exit(9)
        match question_of(query.conversation).split():
            case ["die"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case ["exit"]:
                os._exit(7)
            case ["sleep", path]:
                Path(path).touch()
                time.sleep(600)
            case ["raise"]:
                raise ZeroDivisionError("oops")
            case ["pid"]:
                return Outcome(INFO, ModelError(str(os.getpid())), 0.0)
    return said(batch)


class Poisoned(Runner):
    """The true engine, but files called poison end its process."""

    def answer(self, batch: Sequence[Query]) -> Outcome:
        if any("poison" in medium.info.path for query in batch for medium in query.conversation.media):
            os._exit(9)
        return super().answer(batch)


def texts(future: Future[Outcome]) -> list[str]:
    outcome = future.result(WAIT_S)
    assert isinstance(outcome.said, list), outcome.said
    return [completion.text for completion in outcome.said]


def until(condition: Callable[[], object], seconds: float = WAIT_S) -> None:
    """Wait for something that happens in another thread or process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def prompted(query: Query) -> Query:
    """With a prompt, as lists hand questions out."""
    return Query(query.conversation, query.generation, Prompt([0], query.conversation.media, (1,), 1, "", "family"))
