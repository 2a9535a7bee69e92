# SPDX-License-Identifier: Apache-2.0
"""A checkpoint that a worker keeps loaded, as seen from a command: what a loader and an engine do, done over there.

Whatever goes wrong with the worker costs time, never the answer: from then on everything is done in this process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from llava_cli.engine.types import Completion, Engine, LoadOptions, ModelInfo, Query
from llava_cli.engine.warm.address import is_ours, lock_of, socket_path
from llava_cli.engine.warm.spawn import spawn
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import Prompt
from llava_cli.progress import Progress, no_progress

if TYPE_CHECKING:
    from llava_cli.engine.kv_cache import KVCache
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.memory import MemoryPlan

log = logging.getLogger(__name__)

_LOCK_S = 60.0
_START_S = 120.0
"""How long a worker may take to start, on a machine that is busy with other things."""


class WarmLoader:
    """Stands for a `Loader`, and `load` gives what stands for its engine."""

    def __init__(self, family: Family, options: LoadOptions, keep_s: float, here: Callable[[], Loader]) -> None:
        """Connect to the worker of this checkpoint, started where there is none.

        Args:
            keep_s: seconds that it may be idle before it ends.
            here: makes the loader that does it all in this process.

        Raises:
            OSError: there is no worker to be had.
        """
        self.family = family
        self._channel = connect(family.checkpoint, options, keep_s)
        self._make_local = here
        self._local: Loader | None = None
        self._engine: Engine | None = None
        self._progress: Progress = no_progress
        self._stages: dict[str, int] = {}
        """What the worker is at, and how much there is of each."""

    @property
    def info(self) -> ModelInfo:
        info: ModelInfo = self._ask("info")
        return replace(info, worker=self._local is None)

    @property
    def device(self) -> str | None:
        return self.info.device

    def prompt(self, conversation: Conversation, new_tokens: int) -> Prompt:
        return self._ask("prompt", conversation, new_tokens)

    def plan(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> MemoryPlan:
        return self._ask("plan", prompts, patches)

    def check_memory(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> None:
        self._ask("check_memory", prompts, patches)

    def load(self, progress: Progress = no_progress) -> Engine:
        """See `Loader.load`."""
        self._progress = progress
        try:
            self.call("load")
        except Gone as error:
            return self.local_engine(error)
        return WarmEngine(self, self.info)

    def close(self) -> None:
        """Leave the worker, which stays."""
        self._channel.close()

    def local(self, error: Gone) -> Loader:
        """What does the work from now on, as the worker has failed."""
        if self._local is None:
            log.warning("the worker cannot be used (%s): answering in this process", error)
            self._give_up()
            self._local = self._make_local()
        return self._local

    def local_engine(self, error: Gone) -> Engine:
        """The same, loaded."""
        if self._engine is None:
            self._engine = self.local(error).load(self._progress)
        return self._engine

    def call(self, name: str, *arguments: Any) -> Any:
        """What the worker answers.

        Raises:
            Gone: there is no worker any more.
            LlavaError: as what is called raises.
        """
        self.send(name, *arguments)
        while (said := self.receive())[0] != "result":
            pass
        return said[1]

    def send(self, name: str, *arguments: Any) -> None:
        if self._local is not None:
            raise Gone("it has ended")
        self._channel.send((name, arguments))

    def receive(self) -> tuple[str, Any]:
        """A piece, or the result.

        Raises:
            Gone, LlavaError: as `call` does.
        """
        while True:
            try:
                kind, value = self._channel.receive()
            except KeyboardInterrupt:
                self._give_up()  # which is how the worker hears of it
                raise
            if kind == "error":
                raise value
            if kind == "log":
                log.log(*value)
            elif kind == "progress":
                self._tell(*value)
            else:
                return kind, value

    def _tell(self, stage: str, count: int, total: int) -> None:
        self._stages[stage] = total
        if count == total:
            del self._stages[stage]
        self._progress(stage, count, total)

    def _give_up(self) -> None:
        """Have nothing more to do with the worker; what it was at ends here."""
        self._channel.close()
        for stage, total in list(self._stages.items()):
            self._tell(stage, total, total)

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            return self.call(name, *arguments)
        except Gone as error:
            there = getattr(self.local(error), name)
            return there(*arguments) if callable(there) else there


class WarmEngine:
    """An engine in a worker. See `Engine` for the contract."""

    def __init__(self, loader: WarmLoader, info: ModelInfo) -> None:
        self._loader = loader
        self.info = info

    def answer(self, batch: Sequence[Query]) -> list[Completion]:
        try:
            return list(self._loader.call("answer", list(batch)))
        except Gone as error:
            return self._here(error).answer(batch)

    def stream(
        self, query: Query, cache: KVCache | None = None, stop: Callable[[], bool] | None = None
    ) -> Generator[str, None, Completion]:
        told = ""
        try:
            self._loader.send("stream", query, cache)
            while True:
                kind, value = self._loader.receive()
                if kind == "result":
                    return value
                told += value
                try:
                    yield value
                except GeneratorExit:
                    self._loader.call("stop")
                    raise
                if stop is not None and stop():
                    self._loader.send("stop")
                    stop = None
        except Gone as error:
            rest = self._here(error).stream(query, cache, stop)
        return (yield from _after(told, rest))

    def _here(self, error: Gone) -> Engine:
        engine = self._loader.local_engine(error)
        self.info = engine.info
        return engine


def _after(told: str, pieces: Generator[str, None, Completion]) -> Generator[str, None, Completion]:
    """The pieces of an answer whose beginning has been told already: the same is generated again."""
    text = ""
    while True:
        try:
            text += next(pieces)
        except StopIteration as end:
            return end.value
        if len(text) > len(told):
            yield text[len(told) :]
            told = text


def connect(checkpoint: Checkpoint, options: LoadOptions, keep_s: float) -> Channel:
    """A connection to the worker that keeps this checkpoint, started where there is none.

    Raises:
        OSError: it cannot be reached, nor started.
    """
    path = socket_path(checkpoint, options)
    hello = (checkpoint, options, keep_s)
    with suppress(OSError):
        return _greeted(path, hello)
    with FileLock(lock_of(path), timeout=_LOCK_S):  # whoever comes second finds what the first has started
        with suppress(OSError):
            return _greeted(path, hello)
        _start(path, keep_s)
    return _greeted(path, hello)


def _greeted(path: Path, hello: Any) -> Channel:
    """A connection that the worker has answered on: one that is about to end does not."""
    connection = socket(AF_UNIX)
    try:
        connection.connect(os.fspath(path))
        if not is_ours(connection):
            raise Gone("another user listens there")
        channel = Channel(connection)
        channel.send(("hello", hello))
        if channel.receive(_START_S) != ("result", None):
            raise Gone("it does not greet")
    except BaseException:
        connection.close()
        raise
    return channel


def _start(path: Path, keep_s: float) -> None:
    """Start a worker. It is given the socket, listening already: whoever connects waits until it is ready."""
    path.unlink(missing_ok=True)
    with socket(AF_UNIX) as listening:
        before = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        listening.listen()
        worker = spawn("llava_cli.engine.warm.server", listening, folder=Path("/"))
    threading.Thread(target=worker.wait, daemon=True).start()  # it may end before this process does
