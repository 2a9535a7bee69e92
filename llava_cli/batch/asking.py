# SPDX-License-Identifier: Apache-2.0
"""Batches: which questions are put to the engine together, and what happens when they are too many for it."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llava_cli.batch.entry import Entry
from llava_cli.engine.types import Answer, Engine, Generation
from llava_cli.errors import ExitCode, LlavaError, OutOfMemory
from llava_cli.models.messages import Conversation

LARGEST = 64
_BUGS_IN_A_ROW = 5


@dataclass(frozen=True)
class Outcome:
    """What came of one job."""

    entry: Entry
    result: Answer | LlavaError
    batch_size: int


class Asking:
    """Puts questions to an engine, as many at once as fit."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        tokens: Callable[[Conversation], int],
        generation: Generation,
        fits: Callable[[Sequence[int]], bool],
        say: Callable[[str], None],
        limit: int | None = None,
    ) -> None:
        """Args:
        engine: gives the engine, loaded when it is first asked.
        tokens: the length of a conversation's prompt; raises where it cannot be asked.
        fits: whether prompts of these lengths fit into memory together.
        limit: the batch size, in the place of what fits.
        """
        self.tokens = tokens
        self.busy_s = 0.0
        self._engine, self._generation, self._say = engine, generation, say
        self._fits = fits if limit is None else lambda lengths: True
        # A sampled answer depends on what it is batched with: alone, its seed repeats it.
        self.limit = 1 if generation.do_sample else limit or LARGEST
        self._bugs = 0

    def prepare(self) -> None:
        """Have the engine loaded."""
        self._engine()

    def choose(self, ready: list[list[Entry]]) -> list[Entry]:
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
        single = [entries[0] for entries in ready if len(entries) == 1]
        near = sorted(single, key=lambda entry: abs(entry.tokens - oldest[0].tokens))
        batch = near[: self._size(near)]
        chosen = set(map(id, batch))
        ready[:] = [entries for entries in ready if id(entries[0]) not in chosen]
        return batch

    def answer(self, batch: Sequence[Entry]) -> Iterator[Outcome]:
        """Answer a batch: all of it at once, or in halves where memory runs out, or one by one to find who fails."""
        result = self._attempt(batch)
        if isinstance(result, list):
            for entry, answer in zip(batch, result, strict=True):
                yield Outcome(entry, answer, len(batch))
        elif len(batch) == 1:
            yield Outcome(batch[0], result, 1)
        else:
            alone = not isinstance(result, OutOfMemory)
            if not alone:
                self.limit = min(self.limit, len(batch) // 2)
                self._say(f"llava: out of memory: from now on at most {self.limit} questions at once")
            while batch:
                size = 1 if alone else self.limit  # which may have become less meanwhile
                yield from self.answer(batch[:size])
                batch = batch[size:]

    def _size(self, entries: Sequence[Entry]) -> int:
        """How many of these, from the first, go at once; at least one, which has to be tried."""
        lengths = [entry.tokens for entry in entries[: self.limit]]
        sizes = range(2, len(lengths) + 1)
        return 1 + bisect.bisect(sizes, False, key=lambda size: not self._fits(lengths[:size]))

    def _attempt(self, batch: Sequence[Entry]) -> list[Answer] | LlavaError:
        engine = self._engine()
        asks = [entry.asked for entry in batch]
        started = time.perf_counter()
        failure: LlavaError
        try:
            answers = engine.answer(asks, self._generation)
        except LlavaError as error:
            failure = error.with_traceback(None)
        except Exception as error:
            failure = self._bug(error, len(batch))
        else:
            self._bugs = 0
            return answers
        finally:
            self.busy_s += time.perf_counter() - started
        # Only here, where the exception and with it every tensor of the failed call are gone, can memory be given back.
        failure.__cause__ = failure.__context__ = None
        if isinstance(failure, OutOfMemory):
            from llava_cli.engine.memory import release

            release()
        return failure

    def _bug(self, error: Exception, size: int) -> LlavaError:
        """One odd file must not end a run; but where nothing works any more (a GPU has died), going on is worse."""
        if size == 1:
            self._bugs += 1
        if self._bugs >= _BUGS_IN_A_ROW:
            raise error
        failure = LlavaError(f"this is a bug in llava: {type(error).__name__}: {error}", code="bug")
        failure.exit_code = ExitCode.BUG
        return failure
