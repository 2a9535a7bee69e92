# SPDX-License-Identifier: Apache-2.0
"""Several engines that only pretend, each at work until a test lets it answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from batch.stub import Engine, question_of

from llava_cli.engine.pool.runner import Attempts
from llava_cli.engine.pool.seam import Died, Outcome
from llava_cli.engine.types import Query
from llava_cli.errors import LlavaError


class Several:
    """As many as `size`. The one that was handed something first answers as soon as somebody looks who is free.

    Questions that hold "deadly" end whoever is asked.
    """

    def __init__(self, size: int, lazy: bool = False, gone: LlavaError | None = None) -> None:
        """`lazy`: nobody answers while others may be given something. `gone`: after the first batch none is left."""
        self.size, self._lazy, self._gone = size, lazy, gone
        self.engine = Engine()
        self.handed_out: list[list[str]] = []
        self._attempts = Attempts(lambda: self.engine)
        self._looks = 0
        """Since something was handed out."""
        self._at_work: deque[tuple[Sequence[Query], Future[Outcome]]] = deque()

    def idle(self) -> int:
        if self._gone is not None and self.handed_out:
            raise self._gone
        self._looks += 1
        if self._at_work and (not self._lazy or len(self._at_work) == self.size or self._looks > 4):
            self._answer(*self._at_work.popleft())
        return self.size - len(self._at_work)

    def terms(self) -> None:
        return None

    def load(self) -> None:
        pass

    def submit(self, batch: Sequence[Query]) -> Future[Outcome]:
        assert len(self._at_work) < self.size
        self._looks = 0
        self.handed_out.append([question_of(query.conversation) for query in batch])
        future: Future[Outcome] = Future()
        self._at_work.append((batch, future))
        return future

    def close(self) -> None:
        pass

    def _answer(self, batch: Sequence[Query], future: Future[Outcome]) -> None:
        if any("deadly" in question_of(query.conversation) for query in batch):
            future.set_exception(Died("SIGKILL"))
        else:
            future.set_result(self._attempts.answer(batch))
