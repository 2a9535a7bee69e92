# SPDX-License-Identifier: Apache-2.0
"""Batches: which questions go to an engine together, and where that failed, which of them go once more."""

from __future__ import annotations

import bisect
import logging
from collections import deque
from collections.abc import Iterator, Sequence

from llava_cli.answer import Answer
from llava_cli.batch.jobs import Job
from llava_cli.batch.tally import Tally
from llava_cli.batch.task import Task
from llava_cli.engine.pool.seam import Died, Outcome
from llava_cli.engine.types import Unreachable
from llava_cli.errors import ExitCode, LlavaError, OutOfMemory
from llava_cli.session import Session
from llava_cli.words import counted

log = logging.getLogger(__name__)

LARGEST = 64
MOST_DEATHS = 3
"""How many engines may end over a question."""
_SHARE = 0.9
"""Of the memory that was free before loading; plans are not exact."""


class Batcher:
    """Says which questions are put to an engine next, as many at once as fit."""

    def __init__(self, session: Session, tally: Tally, limit: int = LARGEST) -> None:
        self.limit = limit
        self._session, self._tally = session, tally
        self._again: deque[tuple[list[Task], bool]] = deque()
        """What was answered by nobody; each with whether it is to go alone, to find out who fails."""

    def has_some(self, ready: Sequence[list[Task]]) -> bool:
        """Whether there is something to ask."""
        return bool(ready or self._again)

    def choose(self, ready: list[list[Task]], engines: int = 1) -> list[Task]:
        """Take the next batch out of what is ready: the oldest, and what goes well with it.

        Questions about the same media go together, for what they share to be computed once; single ones go with
        those of about the same length, for little padding.

        Args:
            engines: how many wait for a batch: each is to get its share.
        """
        if self._again:
            tasks, alone = self._again.popleft()
            size = 1 if alone else self.limit  # which may have become less meanwhile
            if tasks[size:]:
                self._again.appendleft((tasks[size:], alone))
            return tasks[:size]
        if not ready:
            return []
        if self._session.endpoint is not None:
            return _first(ready, self.limit)
        oldest = ready[0]
        if len(oldest) > 1:
            size = self._size(oldest)
            batch, ready[0] = oldest[:size], oldest[size:]
            if not ready[0]:
                del ready[0]
            return batch
        single = [tasks[0] for tasks in ready if len(tasks) == 1]
        near = sorted(single, key=lambda task: abs(task.ready.tokens - oldest[0].ready.tokens))
        batch = near[: self._size(near[: -(-len(near) // engines)])]
        chosen = set(batch)
        ready[:] = [tasks for tasks in ready if tasks[0] not in chosen]
        return batch

    def settle(self, batch: Sequence[Task], outcome: Outcome) -> Iterator[tuple[Task, Answer | LlavaError, int]]:
        """What became of a batch: each task with its answer or error, and with how many were answered together.

        Where all of several failed, they are asked again: in halves where memory ran out, or else one by one. An answer
        that repeats itself may be asked again too.

        Raises:
            Unreachable: nobody answers any more.
        """
        if isinstance(outcome.said, list):
            for task, said in zip(batch, outcome.said, strict=True):
                if isinstance(said, Unreachable):
                    continue  # what it leaves without a record is done by the next run
                if isinstance(said, LlavaError):
                    yield task, task.repeating or said, len(batch)
                    continue
                job = task.item if isinstance(task.item, Job) else None
                answer = Answer(task.ready, said, outcome.model, job)
                if misfit := answer.misfit:
                    yield task, misfit, len(batch)
                elif not self._asked_again(task, answer):
                    yield task, answer, len(batch)
            if gone := next((said for said in outcome.said if isinstance(said, Unreachable)), None):
                raise gone
        elif len(batch) == 1:
            yield batch[0], batch[0].repeating or outcome.said, 1
        else:
            alone = not isinstance(outcome.said, OutOfMemory)
            if not alone:
                self.limit = min(self.limit, len(batch) // 2)
                log.warning("out of memory: from now on at most %s at once", counted(self.limit, "question"))
            self._again.appendleft((list(batch), alone))

    def bury(self, batch: Sequence[Task], death: Died) -> Iterator[tuple[Task, LlavaError]]:
        """An engine has died with a batch in hand. Its tasks are asked again, each alone; those that saw too many die
        come with their error."""
        log.warning("an engine has ended (%s); asking again what it had in hand: %s", death,
                    counted(len(batch), "question"))  # fmt: skip
        again = []
        for task in batch:
            task.deaths += 1
            if task.deaths < MOST_DEATHS:
                again.append(task)
                continue
            names = ", ".join(task.request.names)
            error = LlavaError(f"{names}: {MOST_DEATHS} engines have ended over it ({death})", code="engine_died")
            error.exit_code = ExitCode.MODEL
            yield task, error
        if again:
            self._again.appendleft((again, True))

    def _asked_again(self, task: Task, answer: Answer) -> bool:
        """Whether the same is asked once more, with sampling, for an answer that repeats itself."""
        if task.repeating or task.request.generation.do_sample or not (task.request.retry_loops and answer.repeats):
            return False
        task.repeating, task.prepared = answer, answer.prepared.sampled()
        self._again.append(([task], True))
        return True

    def _size(self, tasks: Sequence[Task]) -> int:
        """How many of these, from the first, go at once; at least one, which was found to fit."""
        prepared = [task.ready for task in tasks[: self.limit]]
        sizes = range(2, len(prepared) + 1)

        def is_too_large(size: int) -> bool:
            return not self._session.plan(*prepared[:size]).fits(_SHARE)

        return 1 + bisect.bisect(sizes, False, key=is_too_large)


def _first(ready: list[list[Task]], most: int) -> list[Task]:
    """Take out the oldest, as many as may be: a server makes batches of its own of them."""
    waiting = [task for tasks in ready for task in tasks]
    ready[:] = [[task] for task in waiting[most:]]
    return waiting[:most]
