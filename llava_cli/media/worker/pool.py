# SPDX-License-Identifier: Apache-2.0
"""Temporary."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from llava_cli.machine import cores
from llava_cli.media.clip import Media, View
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.source import Source
from llava_cli.media.worker.parent import Worker


@dataclass(frozen=True)
class Decoded:
    media: list[Media]
    seconds: float


class DecodePool:
    def __init__(self, workers: int, limits: Limits) -> None:
        limits = replace(limits, max_memory=limits.max_memory or half_of_memory() // workers)
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._workers = [Worker(limits, max(1, cores() // workers)) for _ in range(workers)]
        for worker in self._workers:
            threading.Thread(target=self._run, args=(worker,), daemon=True).start()

    def submit(self, media: Sequence[str | Source], view: View) -> Future[Decoded]:
        future: Future[Decoded] = Future()
        self._tasks.put((future, media, view))
        return future

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            self._tasks.put(None)

    def _run(self, worker: Worker) -> None:
        while (task := self._tasks.get()) is not None:
            future, media, view = task
            started = time.perf_counter()
            try:
                shown = [
                    worker._decode(m.path, m.name, view) if isinstance(m, Source) else worker.load(m, view)
                    for m in media
                ]
                future.set_result(Decoded(shown, time.perf_counter() - started))
            except Exception as error:
                future.set_exception(error)
        worker.close()
