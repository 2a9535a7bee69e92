# SPDX-License-Identifier: Apache-2.0
"""Many engines at work at once: a thread for each has it started, hands it batches, and replaces it when it dies.

An engine that dies costs the batch that it had in hand, and nothing else. One that dies before it has answered anything
is tried again; where that does not help, its place is given up, and the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from llava_cli.bugs import as_failure
from llava_cli.engine.pool.seam import Died, Left, Outcome, Seat, Terms
from llava_cli.engine.types import Query
from llava_cli.errors import LlavaError, ModelError, first_line
from llava_cli.progress import Progress, no_progress, stage

log = logging.getLogger(__name__)

TRIES = 3
"""How often an engine may die in a row before it has answered anything."""

PATIENCE_S = 300.0
"""How long to wait for new places where all have left."""

_END_S = 10.0
"""How long the end of an engine is waited for."""


@dataclass(frozen=True, eq=False)
class _Work:
    batch: Sequence[Query]
    future: Future[Outcome] = field(default_factory=Future)


class EnginePool:
    """Engines in other processes. See `Engines` for the contract."""

    def __init__(
        self,
        seats: Iterable[Seat],
        load: Callable[[], None] = lambda: None,
        progress: Progress = no_progress,
        more: bool = False,
    ) -> None:
        """Have an engine started in each place; it reads its weights when it is first given something to do.

        Args:
            load: makes ready here what they all read.
            more: there may be new places later; see `add`.
        """
        self._load, self._progress, self._more = load, progress, more
        self._changed = threading.Condition()
        self._seats: set[Seat] = set()
        self._gone: set[Seat] = set()
        self._threads: list[threading.Thread] = []
        self._work: deque[_Work] = deque()
        self._waiting = 0
        """Engines that a batch can be handed to."""
        self._terms: Terms | None = None
        self._failure: LlavaError | None = None
        self._empty_since = time.monotonic()
        self._closed = False
        for seat in seats:
            self.add(seat)

    def add(self, seat: Seat) -> None:
        """Use one place more, from now on."""
        thread = threading.Thread(target=self._serve, args=(seat,), daemon=True)
        with self._changed:
            self._seats.add(seat)
            self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
            thread.start()

    def remove(self, seat: Seat) -> None:
        """Use a place no more, which has left. What it may have in hand finds that out by itself."""
        with self._changed:
            self._gone.add(seat)
            self._changed.notify_all()

    @property
    def size(self) -> int:
        return max(1, len(self._seats))

    def terms(self) -> Terms:
        """What the first engine that has started says of itself; all of a pool should be alike.

        Raises:
            LlavaError: none can be started.
        """
        with self._changed:
            while self._terms is None:
                self._check_some_are_left()
                self._changed.wait(1.0)
            return self._terms

    def load(self) -> None:
        self._load()

    def idle(self) -> int:
        with self._changed:
            self._check_some_are_left()
            return max(0, self._waiting - len(self._work))

    def submit(self, batch: Sequence[Query]) -> Future[Outcome]:
        work = _Work(batch)
        with self._changed:
            self._work.append(work)
            self._changed.notify()
        return work.future

    def close(self) -> None:
        """End all engines at once, whatever they do."""
        with self._changed:
            self._closed = True
            self._work.clear()
            self._changed.notify_all()
            seats = list(self._seats)
        for seat in seats:
            seat.kill()
        for thread in self._threads:
            thread.join(_END_S)

    def _check_some_are_left(self) -> None:
        if self._seats or self._closed:
            return
        if self._failure is not None:
            raise self._failure
        if not self._more or time.monotonic() - self._empty_since > PATIENCE_S:
            raise ModelError("no engine is left to answer; all records so far are intact")

    # What each thread does.

    def _serve(self, seat: Seat) -> None:
        failure: LlavaError | None = None
        deaths = 0
        try:
            while not self._closed:
                try:
                    self._live(seat)
                    deaths = 0
                except Died as death:
                    deaths += 1
                    if deaths == TRIES:
                        raise ModelError(f"{seat.name}: no engine can be started there ({death})") from death
        except Left:
            log.warning("%s has left; the others go on", seat.name)
        except BaseException as error:
            failure = as_failure(error)
        finally:
            with suppress(Exception):
                seat.end()
            self._leave(seat, failure)

    def _live(self, seat: Seat) -> None:
        """One engine from its start until it dies over a batch. Raises `Died` where it does so before it has one."""
        terms = seat.start()
        with self._changed:
            self._terms = self._terms or terms
            self._changed.notify_all()
        with self._free():
            if not self._something_to_do(seat):
                return
            with stage(self._progress, f"loading on {seat.name}"):
                seat.load()
        while self._answer_one(seat):
            pass

    def _answer_one(self, seat: Seat) -> bool:
        """Wait for something to do and do it; whether to go on. Nothing is held while the next is awaited."""
        with self._changed, self._free():
            if not self._something_to_do(seat):
                return False
            work = self._work.popleft()
        if work.future.cancelled():
            return True
        with suppress(InvalidStateError):  # cancelled meanwhile
            try:
                work.future.set_result(seat.answer(work.batch))
            except Exception as error:
                work.future.set_exception(error if isinstance(error, Died) else Died(first_line(error)))
                return False
        return True

    def _something_to_do(self, seat: Seat) -> bool:
        """Wait for a batch, which stays for whoever is the first to take it; False where there is none to come.

        Raises:
            Left: the place has been removed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._work or self._closed or seat in self._gone)
            if seat in self._gone:
                raise Left
            return not self._closed

    @contextmanager
    def _free(self) -> Iterator[None]:
        """Count as one that a batch can be handed to: it waits for one, or is about to be loaded for it."""
        with self._changed:
            self._waiting += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1

    def _leave(self, seat: Seat, failure: LlavaError | None) -> None:
        """No more engines in this place. What nobody is left for fails."""
        with self._changed:
            self._seats.discard(seat)
            self._gone.discard(seat)
            self._empty_since = time.monotonic()
            self._failure = failure or self._failure
            if failure is not None and self._seats and not self._closed:
                log.warning("%s; the others go on", failure)
            self._changed.notify_all()
