# SPDX-License-Identifier: Apache-2.0
"""Batches: which questions are put to the engine together, and what happens when they are too many for it."""

from __future__ import annotations

import bisect
import logging
import time
from collections.abc import Iterator, Sequence

from llava_cli.answer import Answer
from llava_cli.batch.jobs import Job
from llava_cli.batch.stop import Stop
from llava_cli.batch.tally import Tally
from llava_cli.batch.task import Task
from llava_cli.bugs import ENDINGS, as_failure
from llava_cli.engine.types import Completion, Generation, Query
from llava_cli.errors import LlavaError, OutOfMemory, forget_origin
from llava_cli.models.messages import ask
from llava_cli.session import Session
from llava_cli.words import counted

log = logging.getLogger(__name__)

LARGEST = 64
_SHARE = 0.9
"""Of the memory that was free before loading; plans are not exact."""
_BUGS_IN_A_ROW = 5


class Batcher:
    """Puts questions to a session's engine, as many at once as fit."""

    def __init__(self, session: Session, tally: Tally, limit: int = LARGEST) -> None:
        self.limit = limit
        self._session, self._tally = session, tally
        self._bugs = 0

    def choose(self, ready: list[list[Task]]) -> list[Task]:
        """Take the next batch out of what is ready: the oldest, and what goes well with it.

        Questions about the same media go together, for what they share to be computed once; single ones go with
        those of about the same length, for little padding.
        """
        if not ready:
            return []
        oldest = ready[0]
        if len(oldest) > 1:
            size = self._size(oldest)
            batch, ready[0] = oldest[:size], oldest[size:]
            if not ready[0]:
                del ready[0]
            return batch
        single = [tasks[0] for tasks in ready if len(tasks) == 1]
        near = sorted(single, key=lambda task: abs(task.ready.tokens - oldest[0].ready.tokens))
        batch = near[: self._size(near)]
        chosen = set(batch)
        ready[:] = [tasks for tasks in ready if tasks[0] not in chosen]
        return batch

    def answer(self, batch: Sequence[Task], stop: Stop) -> Iterator[tuple[Task, Answer | LlavaError, int]]:
        """Answer a batch: all of it at once, or in halves where memory runs out, or one by one to find who fails.

        Each task comes with its answer or error, and with how many were answered together.

        Raises:
            LlavaError: the engine cannot be loaded.
        """
        result = self._attempt(batch)
        if isinstance(result, list):
            for task, completion in zip(batch, result, strict=True):
                job = task.item if isinstance(task.item, Job) else None
                answer = Answer(task.ready, completion, self._session.engine.info, job)
                yield task, answer.misfit or answer, len(batch)
        elif len(batch) == 1:
            yield batch[0], result, 1
        else:
            alone = not isinstance(result, OutOfMemory)
            if not alone:
                self.limit = min(self.limit, len(batch) // 2)
                log.warning("out of memory: from now on at most %s at once", counted(self.limit, "question"))
            while batch and not stop.wanted:
                size = 1 if alone else self.limit  # which may have become less meanwhile
                yield from self.answer(batch[:size], stop)
                batch = batch[size:]

    def _size(self, tasks: Sequence[Task]) -> int:
        """How many of these, from the first, go at once; at least one, which was found to fit."""
        prepared = [task.ready for task in tasks[: self.limit]]
        sizes = range(2, len(prepared) + 1)

        def is_too_large(size: int) -> bool:
            return not self._session.plan(*prepared[:size]).fits(_SHARE)

        return 1 + bisect.bisect(sizes, False, key=is_too_large)

    def _attempt(self, batch: Sequence[Task]) -> list[Completion] | LlavaError:
        engine = self._session.engine
        started = time.perf_counter()
        failure: LlavaError
        try:
            completions = engine.answer([task.ready.query for task in batch])
            if len(completions) != len(batch):
                raise ValueError(f"{len(completions)} answers to {len(batch)} questions")
        except ENDINGS:
            raise
        except LlavaError as error:
            failure = error
        except BaseException as error:
            failure = self._bug(error, len(batch))
        else:
            self._bugs = 0
            return completions
        finally:
            self._tally.engine_s += time.perf_counter() - started
        # Only here, where the exception and with it every tensor of the failed call are gone, can memory be given back.
        forget_origin(failure)
        if isinstance(failure, OutOfMemory):
            from llava_cli.engine.memory import release

            release(failure)
        return failure

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
        """Whether the engine has a word to say to a question that nothing can be wrong with."""
        try:
            self._session.engine.answer([Query(ask("Hello", []), Generation(max_new_tokens=1))])
        except ENDINGS:
            raise
        except BaseException:
            return False
        return True
