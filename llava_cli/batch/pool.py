# SPDX-License-Identifier: Apache-2.0
"""Decoders in processes of their own: a crash or a hang inside of one costs the file at hand, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from llava_cli.batch.worker import READY, Decoded, serve
from llava_cli.errors import InputError, LlavaError
from llava_cli.media.clip import View

_START_S = 120.0


@dataclass(frozen=True)
class _Task:
    number: int
    paths: Sequence[str]
    view: View


Outcome = Decoded | LlavaError


class DecodePool:
    """Decodes files in the background."""

    def __init__(self, workers: int, limit_s: float) -> None:
        """Each of the `workers` gets its share of the cores, and `limit_s` seconds for the files of one task."""
        self.workers = workers
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[int, Outcome | Exception]] = queue.SimpleQueue()
        threads = max(1, cores() // workers)
        self._slots = [_Slot(self._tasks, self._outcomes, threads, limit_s) for _ in range(workers)]

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
    """A thread that feeds one decoder process, and puts a new one in the place of one that crashed or hangs."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        outcomes: queue.SimpleQueue[tuple[int, Outcome | Exception]],
        threads: int,
        limit_s: float,
    ) -> None:
        super().__init__(daemon=True)
        self._tasks, self._outcomes = tasks, outcomes
        self._threads, self._limit_s = threads, limit_s
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._closed = threading.Event()
        self.start()

    def run(self) -> None:
        # Inherited by the process: Ctrl-C reaches all of a terminal's processes, and must not end this one's child.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (task := self._tasks.get()) is not None and not self._closed.is_set():
            try:
                outcome: Outcome | Exception = self._decode(task)
            except Exception as error:
                outcome = error
            self._outcomes.put((task.number, outcome))
        self._end()

    def close(self) -> None:
        self._closed.set()
        if self._process is not None:
            with suppress(ValueError, AttributeError):
                self._process.kill()

    def _decode(self, task: _Task) -> Outcome:
        connection = self._connection or self._begin()
        names = ", ".join(task.paths)
        try:
            connection.send((task.paths, task.view))
            if not connection.poll(self._limit_s):
                self._end()
                reason = f"took more than {self._limit_s:g} s to decode (--decode-timeout)"
                return InputError(f"{names}: {reason}", code="timeout")
            return connection.recv()
        except (EOFError, OSError):
            return InputError(f"{names}: the decoder crashed{self._end()}", code="decoder_crash")

    def _begin(self, tries: int = 3) -> Connection:
        # "spawn" because a fork would inherit torch's threads as locks that nobody ever opens.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._threads, os.getpid()), daemon=False)
        process.start()
        theirs.close()
        self._process = process
        try:
            if self._connection.poll(_START_S) and self._connection.recv() == READY:
                return self._connection
        except (EOFError, OSError):
            pass
        how = self._end()
        if tries > 1:
            return self._begin(tries - 1)
        raise RuntimeError(f"a decoder process did not start{how}")

    def _end(self) -> str:
        """End the process; how it ended, in words."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return ""
        process.join(0.2)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode or 0
        with suppress(ValueError):
            return f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"
        return f" ({code})"


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
