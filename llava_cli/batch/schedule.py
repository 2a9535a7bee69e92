# SPDX-License-Identifier: Apache-2.0
"""The batch road: groups of jobs are decoded ahead, asked in batches, and each record is told at once.

One thread drives everything. It never waits while there is something to ask, so that the engine waits only where
decoding is slower than answering.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from llava_cli.batch.asking import Asking
from llava_cli.batch.entry import Entry, Recorder, Sheaf
from llava_cli.batch.feed import Feed, Group
from llava_cli.batch.index import Index, Told
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.batch.ledger import Ledger, Untold
from llava_cli.batch.stop import Stop
from llava_cli.engine.context import TooLong, fewer_frames
from llava_cli.errors import InputError, LlavaError, OutOfMemory
from llava_cli.media.clip import Clip, Media, View
from llava_cli.media.worker.parent import NotStarted
from llava_cli.media.worker.pool import Decoded, DecodePool
from llava_cli.media.worker.wire import DecoderBug

_TICK_S = 0.2
"""How long to wait for something at most before looking at signals again."""

HELD_BYTES = 1 << 30
"""Decoded pictures that may wait for the engine; one group more is always allowed."""


class Sink(Protocol):
    """Gets the records of each group, those of earlier runs too, and what the group's media showed."""

    needs_media: bool

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None: ...

    def close(self) -> None: ...

    def discard(self) -> None:
        """Leave nothing half done behind; called in any case, after `close` where all went well."""


@dataclass
class Tally:
    """What became of the jobs so far."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    """Told before, in an earlier run or for the same job listed twice."""
    skipped_failures: int = 0
    """Those of the skipped that had failed."""
    elsewhere: int = 0
    """Another process is at work on them."""
    started: float = field(default_factory=time.perf_counter)
    current: str = ""

    @property
    def seen(self) -> int:
        return self.done + self.failed + self.skipped + self.elsewhere

    @property
    def wall_s(self) -> float:
        return time.perf_counter() - self.started


@dataclass(frozen=True)
class Rules:
    """How a run behaves."""

    view_of: Callable[[Job], View]
    system: str | None = None
    fit: bool = False
    strict: bool = False
    window: int = 64
    """Groups in work at the same time."""


@dataclass
class _Scene:
    """Media that are being decoded, and who asks about them."""

    entries: list[Entry]
    sheaf: Sheaf


class Scheduler:
    """Takes groups from a feed until it ends; see `run`."""

    def __init__(
        self,
        feed: Feed,
        pool: DecodePool,
        asking: Asking,
        recorder: Recorder,
        ledger: Ledger | Untold,
        sinks: Sequence[Sink],
        rules: Rules,
        on_record: Callable[[dict[str, Any]], None],
    ) -> None:
        self.tally = Tally()
        self.on_progress: Callable[[Tally], None] = lambda tally: None
        self._feed, self._pool, self._asking, self._recorder = feed, pool, asking, recorder
        self._ledger, self._sinks, self._rules = ledger, sinks, rules
        self._on_record = on_record
        self._decoding = 0
        """Scenes that are with the decoders."""
        self._decoded: SimpleQueue[tuple[_Scene, Future[Decoded]]] = SimpleQueue()
        self._ready: list[list[Entry]] = []
        """Entries that can be asked, those about the same media together."""
        self._in_hand: set[bytes] = set()
        self._same: dict[str, list[Entry]] = {}
        """Jobs that wait for the same work, by its key; the first has it done."""
        self._handed_on = Index()
        """What the sinks have been given; a job that is listed twice is one record."""
        self._typical = 0
        """Bytes of what was decoded last."""
        self._over = False

    def run(self, stop: Stop) -> Tally:
        """Answer all jobs; ends early where the user wants to stop, or at the first failure where the rules say so."""
        while not (stop.wanted or self._over):
            self._admit()
            self._collect()
            if stop.wanted or self._over:
                break
            batch = self._asking.choose(self._ready)
            if batch:
                self._asking.prepare()  # loading takes a while; whoever wants to stop meanwhile need not wait for more
                if not stop.wanted:
                    self._answer(batch)
            elif self._feed.ended and not self._decoding:
                break
            self.on_progress(self.tally)
        return self.tally

    # From the list to the decoders.

    def _admit(self) -> None:
        while self._has_room():
            idle = not (self._ready or self._decoding)
            group = self._feed.next(_TICK_S if idle else 0)
            if group is None:
                return
            self._open(group)
            self.on_progress(self.tally)

    def _has_room(self) -> bool:
        # What is being decoded may be there before the engine is done with its batch; it will be about as large.
        held = sum(_bytes(entries[0].media) for entries in self._ready) + self._decoding * self._typical
        groups = self._decoding + len(self._ready) + sum(map(len, self._same.values()))
        return not self._over and groups < self._rules.window and (held < HELD_BYTES or not groups)

    def _open(self, group: Group) -> None:
        """Take a group in hand: what is told is skipped, what others do is left to them."""
        sheaf = Sheaf()
        entries = self._sorted_out([Entry(keyed, sheaf) for keyed in group], sheaf)
        sheaf.waiting = len(entries) + 1
        todo = [entry for entry in entries if not self._settled_at_once(entry)]
        shown = any(sink.needs_media for sink in self._sinks) and bool(entries or sheaf.records)
        if (todo or shown) and isinstance(group[0].item, Job):
            self._decode(todo, sheaf, group[0].item)
        self._release(sheaf)

    def _sorted_out(self, entries: list[Entry], sheaf: Sheaf) -> list[Entry]:
        """Those that are this process's to do; what is told of the others goes to the sheaf, if anybody wants it."""
        fresh: dict[bytes, Entry] = {}
        for entry in entries:
            identity = entry.keyed.identity
            if identity in self._in_hand or identity in fresh:
                self.tally.skipped += 1
            else:
                fresh[identity] = entry
        untold = [identity for identity in fresh if self._ledger.told(identity) is None]
        ours = self._ledger.claim(untold) if untold else set()
        for identity in fresh.keys() - ours:
            told = self._ledger.told(identity)
            if told is None:
                self.tally.elsewhere += 1
                continue
            self.tally.skipped += 1
            self.tally.skipped_failures += not told.ok
            if self._sinks and told.offset >= 0 and self._handed_on.told(identity) is None:
                self._handed_on.add(identity, "", told)
                sheaf.records.append((self._ledger.read(told.offset), False))
        self._in_hand |= ours
        return [entry for identity, entry in fresh.items() if identity in ours]

    def _settled_at_once(self, entry: Entry) -> bool:
        """Whether nothing needs to be decoded for this job, or another one has it done."""
        item, key = entry.keyed.item, entry.keyed.key
        if isinstance(item, Unusable):
            self._fail(entry, item.error)
            return True
        found = self._ledger.done(key)
        if found is not None:
            self._tell(entry, self._recorder.copied(entry, found))
            return True
        if key in self._same:
            self._same[key].append(entry)
            return True
        self._same[key] = []
        return False

    def _decode(self, entries: list[Entry], sheaf: Sheaf, job: Job, frames: int | None = None) -> None:
        view = self._rules.view_of(job)
        if frames is not None:
            view = replace(view, sampling=replace(view.sampling, frames=frames))
        scene = _Scene(entries, sheaf)
        self._decoding += 1
        sheaf.waiting += 1
        future = self._pool.submit(job.media, view)
        future.add_done_callback(lambda done: self._decoded.put((scene, done)))

    # From the decoders to the engine.

    def _collect(self) -> None:
        """Take what is decoded; wait for it only where there is nothing to ask."""
        while self._decoding:
            try:
                scene, future = self._decoded.get(timeout=0 if self._ready else _TICK_S)
            except Empty:
                return
            self._decoding -= 1
            error = future.exception()
            if error is None:
                decoded = future.result()
                scene.sheaf.media = decoded.media
                self._typical = _bytes(decoded.media)
                self._show(scene.entries, decoded)
            for entry in scene.entries if error else ():
                self._fail(entry, _of_the_file(error, entry))
            self._release(scene.sheaf)

    def _show(self, entries: list[Entry], decoded: Decoded) -> None:
        askable = []
        for entry in entries:
            entry.show(decoded.media, decoded.seconds, self._rules.system)
            try:
                entry.tokens = self._asking.tokens(entry.asked)
            except TooLong as error:
                if self._rules.fit and error.frames:
                    self._show_fewer(entry, error.frames, fewer_frames(error.frames))
                else:
                    self._fail(entry, error)
            except LlavaError as error:
                self._fail(entry, error)
            else:
                askable.append(entry)
        if askable:
            self._ready.append(askable)

    def _show_fewer(self, entry: Entry, frames: int, warning: str) -> None:
        """Decode the same again, in fewer frames."""
        entry.warnings = (warning,)
        self._decode([entry], entry.sheaf, entry.job, frames)

    # From the engine to the records.

    def _answer(self, batch: Sequence[Entry]) -> None:
        self.tally.current = ", ".join(batch[0].keyed.media)
        self.on_progress(self.tally)
        for outcome in self._asking.answer(batch):
            entry, result = outcome.entry, outcome.result
            if not isinstance(result, LlavaError):
                self._tell(entry, self._recorder.answered(entry, result, outcome.batch_size))
            elif isinstance(result, OutOfMemory) and self._rules.fit and entry.most_frames > 1:
                frames = entry.most_frames // 2
                self._show_fewer(entry, frames, fewer_frames(frames, "to fit the memory"))
            else:
                self._fail(entry, result)
            if self._over:
                return

    def _fail(self, entry: Entry, error: LlavaError) -> None:
        self._tell(entry, self._recorder.failed(entry, error))

    def _tell(self, entry: Entry, record: dict[str, Any]) -> None:
        """Write a record; what waited for the same work gets it too, or has to do it itself."""
        if self._over:
            return
        self._ledger.append(record)
        self._in_hand.discard(entry.keyed.identity)
        self._on_record(record)
        ok = record["status"] == "ok"
        self.tally.done += ok
        self.tally.failed += not ok
        self._over = self._rules.strict and not ok
        entry.sheaf.records.append((record, True))
        if self._sinks:
            self._handed_on.add(entry.keyed.identity, entry.keyed.key, Told(-1, ok))
        self._release(entry.sheaf)
        waiting = self._same.pop(entry.keyed.key, [])
        if ok:
            for other in waiting:
                self._tell(other, self._recorder.copied(other, record))
        elif waiting:
            first, *rest = waiting
            self._same[first.keyed.key] = rest
            self._decode([first], first.sheaf, first.job)

    def _release(self, sheaf: Sheaf) -> None:
        """One thing less that the sheaf waits for."""
        sheaf.waiting -= 1
        if sheaf.waiting == 0 and sheaf.records:
            for sink in self._sinks:
                sink.put(sheaf.records, sheaf.media)
            sheaf.media = ()


def _of_the_file(error: BaseException | None, entry: Entry) -> LlavaError:
    """The error to tell where a file gives no picture; raises those that would be every file's."""
    if isinstance(error, DecoderBug):  # whatever a decoder raises is about this file, and no reason to end a run
        return InputError(
            f"{', '.join(entry.job.media)}: cannot be decoded: {str(error).splitlines()[-1]}", code="decoder"
        )
    if isinstance(error, LlavaError) and not isinstance(error, NotStarted):
        return error
    raise error or AssertionError


def _bytes(media: Sequence[Media]) -> int:
    return sum((medium.frames if isinstance(medium, Clip) else medium.pixels).nbytes for medium in media)
