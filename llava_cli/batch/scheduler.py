# SPDX-License-Identifier: Apache-2.0
"""The batch road: groups of jobs are decoded ahead, asked in batches, and each record is written at once.

One thread drives everything, and it alone writes. It never waits while there is something to ask and an engine to ask,
so that engines wait only where decoding is slower than answering. What fits, and what to do where it does not, the
session says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from llava_cli.answer import Answer, Prepared
from llava_cli.batch.admission import Admission
from llava_cli.batch.batcher import Batcher
from llava_cli.batch.feed import Feed
from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.batch.stop import Stop
from llava_cli.batch.tally import Tally
from llava_cli.batch.task import RecordGroup, Result, Task, failure_of, spoiled
from llava_cli.batch.writers.writer import Writer
from llava_cli.bugs import ENDINGS, as_failure
from llava_cli.engine.pool.seam import Died, Engines, Outcome
from llava_cli.errors import LlavaError, OutputError
from llava_cli.media.clip import bytes_of
from llava_cli.media.opened import tell_of
from llava_cli.media.worker.parent import NotStarted
from llava_cli.media.worker.pool import Decoded
from llava_cli.session import Session

_TICK_S = 0.2
"""How long to wait for something at most before looking at signals again."""

HELD_BYTES = 1 << 30
"""Decoded pictures that may wait for each engine; one group more is always allowed."""


class Scheduler:
    """Takes groups from a feed until it ends; see `results`."""

    def __init__(
        self,
        session: Session,
        feed: Feed,
        ledger: Ledger | MemoryLedger,
        batcher: Batcher,
        tally: Tally,
        writers: Sequence[Writer] = (),
        strict: bool = False,
        window: int = 2 * 64,
    ) -> None:
        """Make ready.

        Args:
            strict: stop at the first failure.
            window: how many groups are in work at the same time for each engine.
        """
        self.tally = tally
        self.on_progress: Callable[[Tally], None] = lambda tally: None
        """Called now and then."""
        self._session, self._feed, self._ledger, self._batcher = session, feed, ledger, batcher
        self._writers, self._strict, self._window = writers, strict, window
        self._admission = Admission(ledger, tally, keep_records=bool(writers))
        self._decoding: dict[Future[Decoded], tuple[list[Task], RecordGroup]] = {}
        self._answering: dict[Future[Outcome], list[Task]] = {}
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()
        """Of what is being decoded or answered."""
        self._ready: list[list[Task]] = []
        """Tasks that can be asked, those about the same media together."""
        self._results: deque[Result] = deque()
        self._typical = 0
        """Bytes of what was decoded last."""
        self._engines: Engines | None = None
        """Once there is something to ask."""
        self._loaded = self._over = False

    def results(self, stop: Stop | None = None) -> Iterator[Result]:
        """Answer all jobs; each result comes once its record is in the ledger.

        Ends early where the user wants to stop, or at the first failure where that is the rule.

        Raises:
            LlavaError: the list cannot be read, the checkpoint cannot be loaded, or a record cannot be written.
        """
        stop = stop or Stop()
        while not (stop.wanted or self._over):
            self._admit(stop)
            self._collect()
            self.on_progress(self.tally)
            yield from self._made()
            self._hand_out(stop)
            if self._feed.ended and not (self._decoding or self._answering or self._batcher.has_some(self._ready)):
                break
        yield from self._finish()

    def close(self) -> None:
        """Give up what is still to be decoded or answered."""
        futures: list[Future[Any]] = [*self._decoding, *self._answering]
        for future in futures:
            future.cancel()
        self._admission.close()

    def _made(self) -> Iterator[Result]:
        while self._results:
            yield self._results.popleft()

    # From the list to the decoders.

    def _admit(self, stop: Stop) -> None:
        """Take groups from the feed; not for ever where it brings nothing but what is done already."""
        held = sum(bytes_of(tasks[0].media) for tasks in self._ready)
        for _ in range(self._window * self._size):
            if stop.wanted or not self._has_room(held):
                return
            idle = not (self._ready or self._decoding or self._answering or self._results)
            group = self._feed.next(_TICK_S if idle else 0)
            if group is None:
                return
            self._open(group)

    def _has_room(self, held: int) -> bool:
        # What is being decoded may be there before an engine is done with its batch; it will be about as large.
        held += len(self._decoding) * self._typical
        groups = len(self._decoding) + len(self._ready) + self._admission.waiting
        return not self._over and groups < self._window * self._size and (held < HELD_BYTES * self._size or not groups)

    @property
    def _size(self) -> int:
        """How many engines there are."""
        return 1 if self._engines is None else self._engines.size

    def _open(self, group: RecordGroup) -> None:
        tasks = self._admission.admit(group)
        group.waiting = len(tasks) + 1
        todo = [task for task in tasks if not self._settled_at_once(task)]
        shown = any(writer.needs_media for writer in self._writers) and bool(tasks or group.records)
        if todo or (shown and group.tasks[0].request.names):
            self._decode(todo, group)
        self._release(group)

    def _settled_at_once(self, task: Task) -> bool:
        """Whether nothing needs to be decoded for this task, or another one has it done."""
        with self._costs_only(task):
            if task.error is not None:
                raise task.error
            found = self._ledger.done(task.key)
            if found is None:
                return not self._admission.begin(task)
            self._write(task, task.copied(found))
        return True

    def _decode(self, tasks: list[Task], group: RecordGroup) -> None:
        """Have decoded what these tasks show, all of them the same; none are given for the pictures only."""
        request = (tasks or group.tasks)[0].request
        if tasks and self._engines is None:
            self._engines = self._session.engines  # which may begin to start
        future = self._session.pool.submit(self._session.views(request))
        group.waiting += 1
        self._decoding[future] = tasks, group
        future.add_done_callback(self._finished.put)

    # From the decoders to the engines.

    def _collect(self) -> None:
        """Take what is decoded and what is answered; wait for it only where there is nothing else to do."""
        asking = self._batcher.has_some(self._ready)
        if not (self._decoding or self._answering or asking):
            return
        busy = bool(self._results) or (asking and self._engines is not None and self._engines.idle() > 0)
        with suppress(Empty):
            if not busy:
                self._take(self._finished.get(timeout=_TICK_S))
            while True:
                self._take(self._finished.get_nowait())

    def _take(self, future: Future[Any]) -> None:
        if future in self._answering:
            self._take_answers(self._answering.pop(future), future)
        else:
            self._take_media(*self._decoding.pop(future), future)

    def _take_media(self, tasks: list[Task], group: RecordGroup, future: Future[Decoded]) -> None:
        error = future.exception()
        if isinstance(error, NotStarted):
            raise error  # which is no file's fault: not each of them is to be called broken
        if error is None:
            decoded = future.result()
            if tasks and not group.media:
                for medium in decoded.media:
                    tell_of(medium)
            group.media = decoded.media
            self._typical = bytes_of(decoded.media)
            self._show(tasks, decoded)
        else:
            for task in tasks:
                self._fail(task, failure_of(error, task.request.names))
        self._release(group)

    @contextmanager
    def _costs_only(self, task: Task) -> Iterator[None]:
        """Whatever goes wrong inside costs this job and no other; only what cannot be written ends the run."""
        try:
            yield
        except (*ENDINGS, OutputError):
            raise
        except BaseException as error:
            if not isinstance(error, LlavaError):
                task.media = ()  # for all one knows, telling of them is what went wrong
            self._fail(task, as_failure(error))

    def _show(self, tasks: list[Task], decoded: Decoded) -> None:
        if tasks:
            self._session.check_memory()  # of the checkpoint alone: were it too large, no file would be at fault
        for task in tasks:
            task.media = decoded.media
            task.decode_s += decoded.seconds
            with self._costs_only(task):
                task.group.check_unchanged()
                try:
                    task.prepared = self._prepared(task)
                except LlavaError as error:
                    self._refit(task, error)
        ready = [task for task in tasks if task.prepared is not None]
        if ready:
            self._ready.append(ready)

    def _prepared(self, task: Task) -> Prepared:
        prepared = self._session.show(task.request, task.media, task.decode_s)
        self._session.check_memory(prepared)
        return prepared

    def _refit(self, task: Task, error: LlavaError) -> None:
        """Show fewer frames, where that may help and is wanted; otherwise this is the end of it."""
        task.prepared = None
        with self._costs_only(task):
            task.request = self._session.fewer_frames(task.request, task.media, error)
            self._decode([task], task.group)

    # From the engines to the records.

    def _hand_out(self, stop: Stop) -> None:
        """Give each engine that has nothing to do something to answer."""
        engines = self._engines
        for idle in range(0 if engines is None else engines.idle(), 0, -1):
            batch = [] if stop.wanted or self._over else self._batcher.choose(self._ready, idle)
            if engines is None or not batch:
                return
            self.tally.current = ", ".join(batch[0].request.names)
            self.on_progress(self.tally)
            if not self._loaded:
                engines.load()
                self._loaded = True
                if stop.wanted:
                    return  # loading takes a while; whoever wants to stop meanwhile need not wait for more
            future = engines.submit([task.ready.query for task in batch])
            self._answering[future] = batch
            future.add_done_callback(self._finished.put)

    def _take_answers(self, batch: list[Task], future: Future[Outcome]) -> None:
        death = future.exception()
        if isinstance(death, Died):
            for task, error in self._batcher.bury(batch, death):
                self._fail(task, error)
            return
        outcome = future.result()
        self.tally.engine_s += outcome.seconds
        self.tally.engines = self._size
        for task, answer, size in self._batcher.settle(batch, outcome):
            if isinstance(answer, Answer):
                self.tally.cut += answer.cut is not None
                self.tally.repeated += answer.repeats
                with self._costs_only(task):
                    self._write(task, task.answered(answer, size), answer)
            else:
                self._refit(task, answer)
            if self._over:
                return

    def _finish(self) -> Iterator[Result]:
        """What is in hand to its end, unless the run is to end at its first failure."""
        yield from self._made()
        while self._answering and self._engines is not None and not self._over:
            with suppress(Empty):
                future = self._finished.get(timeout=_TICK_S)
                if future in self._answering:
                    self._take(future)
            self._engines.idle()  # says where none is left
            yield from self._made()

    def _fail(self, task: Task, error: LlavaError) -> None:
        error = error.with_traceback(None)  # which holds on to pictures
        self._write(task, task.failed(error, self._session.loader.info), error=error)

    def _write(
        self, task: Task, record: dict[str, Any], answer: Answer | None = None, error: LlavaError | None = None
    ) -> None:
        """Write a record; what waited for the same work gets it too, or has to do it itself."""
        if self._over:
            return
        self._ledger.append(record)
        ok = error is None
        self.tally.done += ok
        self.tally.failed += not ok
        self._over = self._strict and not ok
        self._results.append(Result(task.item, record, answer, error))
        task.group.records.append((record, True))
        self._release(task.group)
        for other in self._admission.settle(task, ok):
            with self._costs_only(other):
                if ok:
                    self._write(other, other.copied(record), answer and other.shared(answer))
                else:
                    self._decode([other], other.group)

    def _release(self, group: RecordGroup) -> None:
        """One thing less that the group waits for."""
        group.waiting -= 1
        if group.waiting:
            return
        for writer in self._writers if group.records else ():
            try:
                media = self._session.pool.whole(group.media) if writer.needs_media else group.media
                writer.put(group.records, media)
            except ENDINGS:
                raise
            except BaseException as error:
                if isinstance(error, OutputError) and not writer.per_job:
                    raise
                self._take_back(group, as_failure(error))
        group.media = ()
        group.settled()

    def _take_back(self, group: RecordGroup, error: LlavaError) -> None:
        """Have what was answered count as failed: it could not be written where it was wanted too."""
        for place, (record, new) in enumerate(group.records):
            if record["status"] == "error":
                continue
            failed = spoiled(record, error)
            self._ledger.append(failed)
            group.records[place] = failed, new
            self.tally.take_back(new)
            self._over = self._over or self._strict
            item = next(task.item for task in group.tasks if (task.key, task.id) == (record["key"], record["id"]))
            self._results.append(Result(item, failed, None, error))
