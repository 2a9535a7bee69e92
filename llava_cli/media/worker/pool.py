# SPDX-License-Identifier: Apache-2.0
"""Many decoding processes at work at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any, Protocol

from llava_cli.extras import need
from llava_cli.machine import cores
from llava_cli.media.clip import Media, View, bytes_of
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.source import Source
from llava_cli.media.windows import Division, Survey, Window
from llava_cli.media.worker.parent import TooLarge, Worker


@dataclass(frozen=True)
class Decoded:
    """What some files show."""

    media: list[Media]
    seconds: float
    """How long it took to decode them all, one after the other; waiting for a free process does not count."""


Wanted = tuple[str | Source, View]
"""A file, and how it is to be shown."""


class Decoding(Protocol):
    """Whatever decodes files in the background."""

    def submit(self, media: Sequence[Wanted]) -> Future[Decoded]:
        """See `DecodePool.submit`."""
        ...

    def whole(self, media: Sequence[Media]) -> Sequence[Media]:
        """What was decoded, with its pixels in this process."""
        ...

    def windows(
        self, medium: str | Source, division: Division, start: float | None = None, end: float | None = None
    ) -> list[Window]:
        """See `DecodePool.windows`."""
        ...

    def close(self) -> None:
        """End it at once, and cancel what is not done."""
        ...


@dataclass(frozen=True, eq=False)
class _Task:
    work: Callable[[Worker], Any]
    future: Future[Any] = field(default_factory=Future)


class DecodePool:
    """Decodes files in the background, in several processes, which start with this object."""

    def __init__(self, workers: int, limits: Limits, scenes: bool = False) -> None:
        """Each of the `workers` gets its share of the cores and of the memory. `limits` are for one file.

        Whether they can look for `scenes` is decided here: it takes them longer to start.
        """
        share = replace(limits, max_memory=limits.max_memory or half_of_memory() // workers)
        self._workers = [Worker(share, max(1, cores() // workers), scenes) for _ in range(workers)]
        self._limits = limits
        self._scenes: DecodePool | None = None
        self.opened: dict[str, Source] = {}
        """Names for which something is open already, such as a copy of standard input."""
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._unfinished: set[Future[Any]] = set()
        self._closed = False
        self._closing = threading.Lock()
        for worker in self._workers:
            # Not an executor's threads: they keep a program from ending while one of them waits for a pipe.
            threading.Thread(target=self._serve, args=(worker,), daemon=True).start()

    def submit(self, media: Sequence[Wanted]) -> Future[Decoded]:
        """Have files decoded one after the other, by one process; tasks are begun in the order in which they come.

        Sources must stay open until the future is done. Its exception is the first file's that fails: what
        `Worker.load` raises. `close` cancels it.

        Raises:
            RuntimeError: the pool is closed.
        """
        wanted = [(self._source(medium), view) for medium, view in media]
        return self._begin(lambda worker: decode(worker, wanted))

    def windows(
        self, medium: str | Source, division: Division, start: float | None = None, end: float | None = None
    ) -> list[Window]:
        """The windows of what is shown of a video from `start` to `end`; none of an image, or of nothing. Waits.

        Raises:
            InputError, NotStarted, DecoderBug: as `submit`'s futures do.
            UsageError: what finds scenes is not installed.
            CancelledError: the pool is closed.
        """
        if self._closed:
            raise CancelledError
        source = self._source(medium)
        pool = self._for_scenes() if division.scenes else self
        survey: Survey = pool._begin(lambda worker: worker.survey(source, division.scenes)).result()
        begin = start or 0.0
        if survey.duration is None or begin >= survey.duration:
            return []
        return division.over(begin, min(end or survey.duration, survey.duration), survey.cuts)

    def _for_scenes(self) -> DecodePool:
        """A process that finds scenes, started where one is needed."""
        need("scenedetect", "scenes")
        with self._closing:
            if self._closed:
                raise RuntimeError("the pool is closed")
            if self._scenes is None:
                self._scenes = DecodePool(1, self._limits, scenes=True)
            return self._scenes

    def _source(self, medium: str | Source) -> str | Source:
        return self.opened.get(medium, medium) if isinstance(medium, str) else medium

    def _begin(self, work: Callable[[Worker], Any]) -> Future[Any]:
        task = _Task(work)
        with self._closing:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._unfinished.add(task.future)
        task.future.add_done_callback(self._unfinished.discard)
        self._tasks.put(task)
        return task.future

    def whole(self, media: Sequence[Media]) -> Sequence[Media]:
        return media

    def close(self) -> None:
        """End all decoders at once, whatever they do, and cancel what is not done. For any thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        for future in list(self._unfinished):
            if future.cancel():
                future.set_running_or_notify_cancel()
        for worker in self._workers:
            worker.kill()
            self._tasks.put(None)
        if self._scenes is not None:
            self._scenes.close()

    def _serve(self, worker: Worker) -> None:
        while self._serve_one(worker):
            pass
        worker.close()

    def _serve_one(self, worker: Worker) -> bool:
        """Wait for a task and do it; whether to go on. What was decoded is not held while the next task is awaited."""
        task = self._tasks.get()
        if task is None or self._closed:
            return False
        if task.future.cancelled():
            return True
        with suppress(InvalidStateError):  # cancelled meanwhile
            try:
                done = task.work(worker)
            except Exception as error:
                task.future.set_exception(error)
            else:
                task.future.set_result(done)
        return True


def decode(worker: Worker, wanted: Sequence[Wanted]) -> Decoded:
    """Decode files one after the other. Raises what `Worker.load` raises."""
    started = time.perf_counter()
    media = list[Media]()
    allowed = worker.limits.max_memory or half_of_memory()
    for medium, view in wanted:
        media.append(worker.load(medium, view))
        if bytes_of(media) > allowed:  # images are held in full size until all that is asked about is here
            raise TooLarge(
                f"{media[-1].info.path}: with it, {len(media)} decoded files take more memory than is allowed; "
                "--max-memory allows more, smaller or fewer images take less"
            )
    return Decoded(media, time.perf_counter() - started)
