# SPDX-License-Identifier: Apache-2.0
"""Many decoding processes at work at once."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llava_cli.errors import InputError, LlavaError
from llava_cli.media.clip import Media, View
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.worker.parent import Worker
from llava_cli.media.worker.wire import DecoderBug


@dataclass(frozen=True)
class Decoded:
    """What some files show."""

    media: list[Media]
    seconds: float


@dataclass(frozen=True)
class _Task:
    number: int
    paths: Sequence[str]
    view: View


Outcome = Decoded | LlavaError


class DecodePool:
    """Decodes files in the background."""

    def __init__(self, workers: int, limits: Limits) -> None:
        """Each of the `workers` gets its share of the cores and of the memory. `limits` are for one file.

        Pipes are not read: a list may be read again, a pipe may not, and would hold up the others.
        """
        self.workers = workers
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[int, Outcome | Exception]] = queue.SimpleQueue()
        threads = max(1, cores() // workers)
        limits = replace(limits, max_memory=limits.max_memory or half_of_memory() // workers, pipes=False)
        self._slots = [_Slot(self._tasks, self._outcomes, threads, limits) for _ in range(workers)]

    def submit(self, number: int, paths: Sequence[str], view: View) -> None:
        """Have files decoded; the outcome comes with this number."""
        self._tasks.put(_Task(number, paths, view))

    def outcome(self, wait_s: float) -> tuple[int, Outcome] | None:
        """The next outcome, in the order in which they are ready; None if there is none within this time."""
        try:
            number, outcome = self._outcomes.get(timeout=wait_s) if wait_s > 0 else self._outcomes.get_nowait()
        except queue.Empty:
            return None
        if not isinstance(outcome, Decoded | LlavaError):
            raise outcome
        return number, outcome

    def close(self) -> None:
        """End all decoders, at once."""
        for slot in self._slots:
            slot.close()
        for _ in self._slots:
            self._tasks.put(None)


class _Slot(threading.Thread):
    """A thread that feeds one worker."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        outcomes: queue.SimpleQueue[tuple[int, Outcome | Exception]],
        threads: int,
        limits: Limits,
    ) -> None:
        super().__init__(daemon=True)
        self._tasks, self._outcomes = tasks, outcomes
        self.worker = Worker(limits, threads)
        self._closed = threading.Event()
        self.start()

    def run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closed.is_set():
            try:
                outcome: Outcome | Exception = self._decode(task)
            except Exception as error:
                outcome = error
            self._outcomes.put((task.number, outcome))
        self.worker.close()

    def close(self) -> None:
        self._closed.set()
        self.worker.kill()

    def _decode(self, task: _Task) -> Outcome:
        started = time.perf_counter()
        media = []
        for path in task.paths:
            try:
                media.append(self.worker.load(path, task.view))
            except LlavaError as error:
                return error
            except DecoderBug as bug:  # whatever a decoder raises is about this file, and no reason to end a run
                return InputError(f"{path}: cannot be decoded: {str(bug).splitlines()[-1]}", code="decoder")
        return Decoded(media, time.perf_counter() - started)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
