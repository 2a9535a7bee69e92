# SPDX-License-Identifier: Apache-2.0
"""What an engine does, in whichever process it is: it is started, loaded, and asked, and outlives what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llava_cli.bugs import ENDINGS, as_failure
from llava_cli.engine.pool.seam import Outcome, Terms
from llava_cli.engine.types import Engine, Generation, LoadOptions, Query, SomeFailed, Unreachable
from llava_cli.errors import LlavaError, OutOfMemory, forget_origin
from llava_cli.models.checkpoint import Checkpoint, found_here
from llava_cli.models.messages import ask
from llava_cli.models.registry import family_of

if TYPE_CHECKING:
    from llava_cli.engine.loader import Loader

_BUGS_IN_A_ROW = 5


def _hello() -> Query:
    """A question that nothing can be wrong with."""
    return Query(ask("Hello", []), Generation(max_new_tokens=1))


class Attempts:
    """Batches put to one engine: what goes wrong costs the batch, and only an engine that is broken ends."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._bugs = 0

    def answer(self, batch: Sequence[Query]) -> Outcome:
        """Answer a batch, or say why that cannot be.

        Raises:
            LlavaError: the engine cannot be loaded.
            Unreachable: nobody answers any more.
            BaseException: bugs follow each other, and it does not even answer what nothing can be wrong with.
        """
        engine = self._engine()
        started = time.perf_counter()
        failure: LlavaError
        try:
            completions = engine.answer(batch)
            if len(completions) != len(batch):
                raise ValueError(f"{len(completions)} answers to {len(batch)} questions")
        except (*ENDINGS, Unreachable):
            raise
        except SomeFailed as error:
            return Outcome(engine.info, list(error.outcomes), time.perf_counter() - started)
        except LlavaError as error:
            failure = error
        except BaseException as error:
            failure = self._bug(error, len(batch))
        else:
            self._bugs = 0
            return Outcome(engine.info, [*completions], time.perf_counter() - started)
        # Only here, where the exception and with it every tensor of the failed call are gone, can memory be given back.
        forget_origin(failure)
        if isinstance(failure, OutOfMemory):
            from llava_cli.engine.memory import release

            release(failure)
        return Outcome(engine.info, failure, time.perf_counter() - started)

    def _bug(self, error: BaseException, size: int) -> LlavaError:
        """Odd files must not end a run; but where nothing works any more (a GPU has died), going on is worse."""
        if size == 1:
            self._bugs += 1
        if self._bugs >= _BUGS_IN_A_ROW:
            self._bugs = 0
            if not self._answers_at_all():
                raise error
        return as_failure(error)

    def _answers_at_all(self) -> bool:
        try:
            self._engine().answer([_hello()])
        except ENDINGS:
            raise
        except BaseException:
            return False
        return True


class OwnEngine:
    """The engine of this process, in the place of several: a batch is answered while it is handed out."""

    size = 1

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """`engine` loads it, where it is not loaded yet."""
        self._engine = engine
        self._attempts = Attempts(engine)

    def idle(self) -> int:
        return 1

    def terms(self) -> None:
        return None

    def load(self) -> None:
        self._engine()

    def submit(self, batch: Sequence[Query]) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(self._attempts.answer(batch))
        return future

    def close(self) -> None:
        """The engine is the session's."""


@dataclass
class Runner:
    """An engine that is to run in another process, and travels there: what a `Seat` has done, on the other side."""

    checkpoint: Checkpoint
    options: LoadOptions
    share: float = 1.0
    """How much of what its devices have free is its own."""
    _loader: Loader | None = field(default=None, init=False)
    _attempts: Attempts | None = field(default=None, init=False)

    def start(self) -> Terms:
        """See what there is, before weights are read.

        Raises:
            UsageError: the machine has no such device.
            ModelError: the checkpoint is not here, or damaged.
        """
        from llava_cli.engine.loader import Loader

        self._loader = Loader(family_of(found_here(self.checkpoint)), self.options)
        rooms = tuple(replace(room, free=room.free * self.share) for room in self._loader.rooms)
        return Terms(self._loader.info, rooms)

    def load(self) -> None:
        """Read the weights. An engine that cannot be asked anything is none."""
        if self._loader is None:
            raise ValueError("has not started")
        self._loader.family.checkpoint.fetch()
        engine = self._loader.load()
        with suppress(LlavaError):  # which is an answer too
            engine.answer([_hello()])
        self._attempts = Attempts(lambda: engine)

    def answer(self, batch: Sequence[Query]) -> Outcome:
        """See `Attempts.answer`."""
        if self._attempts is None:
            raise ValueError("is not loaded")
        return self._attempts.answer(batch)
