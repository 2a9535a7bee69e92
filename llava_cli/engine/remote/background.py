# SPDX-License-Identifier: Apache-2.0
"""Requests run in a thread of their own: whoever waits for them can be interrupted, and that cancels them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, MutableMapping
from concurrent.futures import Future
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")
_CLOSE_S = 5.0


class Background:
    """An event loop beside the program, which may have one of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin; cancelling the future cancels what it waits for."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and wait. A signal that ends the waiting, such as Ctrl-C, ends the work too."""
        future = self.start(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what is still going on, and end."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(_CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def shared(found: MutableMapping[K, asyncio.Task[T]], key: K, find: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What several may want at the same time, found once; a failure is not kept."""
    if key not in found:
        found[key] = asyncio.ensure_future(find())
    task = found[key]
    try:
        return await asyncio.shield(task)
    finally:
        if task.done() and (task.cancelled() or task.exception() is not None):
            found.pop(key, None)
