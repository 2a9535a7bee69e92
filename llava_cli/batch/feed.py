# SPDX-License-Identifier: Apache-2.0
"""The list, read ahead by a thread: jobs about the same scene in groups, each with its key."""

from __future__ import annotations

import hashlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from llava_cli.batch.identity import content, default_id, failed_key, line_key, mark, work_key
from llava_cli.batch.jobs import Item, Job, Unusable
from llava_cli.batch.task import RecordGroup, Task
from llava_cli.bugs import as_failure
from llava_cli.media.clip import View
from llava_cli.media.limits import DEFAULT as DEFAULT_LIMITS
from llava_cli.media.limits import Limits
from llava_cli.request import Request

_LARGEST_GROUP = 64


def selected(items: Iterable[Item], part: tuple[int, int] | None = None, limit: int | None = None) -> Iterator[Item]:
    """The first `limit` of a list, or of one part (number, count) of it."""
    return itertools.islice(items if part is None else shard(items, *part), limit)


def shard(items: Iterable[Item], number: int, count: int) -> Iterator[Item]:
    """One of `count` parts of a list, counted from 1. Which one an item is in depends on its media only."""
    for item in items:
        name = "\0".join(item.names) if isinstance(item, Job) else item.text
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        if int.from_bytes(digest[:8], "big") % count == number - 1:
            yield item


@dataclass(frozen=True)
class Tasks:
    """Makes tasks of jobs."""

    defaults: Request
    """How all are asked that do not say it themselves."""
    view: Callable[[Request], View]
    settings: Mapping[str, Any]
    """See `identity.settings_of`."""
    limits: Limits = DEFAULT_LIMITS
    """Whether the hub may be asked for what its files hold."""

    def groups(self, items: Iterable[Item]) -> Iterator[RecordGroup]:
        """A list in groups: jobs that follow each other and show the same scene, or one line that is no job."""
        for _, same in itertools.groupby(items, lambda item: item.scene if isinstance(item, Job) else item):
            while some := list(itertools.islice(same, _LARGEST_GROUP)):
                yield self._group(some)

    def _group(self, items: list[Item]) -> RecordGroup:
        group = RecordGroup()
        for item in items:
            try:
                task = self._job(item, group) if isinstance(item, Job) else self._line(item, group)
            except Exception as error:
                task = self._line(Unusable(0, repr(item), as_failure(error), item.id), group)
            group.tasks.append(task)
        return group

    def _job(self, job: Job, group: RecordGroup) -> Task:
        request = job.request(self.defaults)
        for path in request.names:  # the same for all of a group: they are looked at once
            if path not in group.contents:
                group.marks[path] = mark(path)
                group.contents[path] = content(path, self.limits)
        key = work_key(self.settings, self.view(request), request, [group.contents[path] for path in request.names])
        if job.error is not None:  # of work that is divided, and not what its whole video would be
            key = failed_key(key, job.division)
        of = job.names if job.summary is None else (job.summary.path,)
        return Task(job, key, default_id(key, of) if job.id is None else job.id, request, group, job.error)

    def _line(self, line: Unusable, group: RecordGroup) -> Task:
        key = line_key(line)
        asked = Request(question="", generation=self.defaults.generation)
        return Task(line, key, default_id(key, ()) if line.id is None else line.id, asked, group, line.error)


class Feed:
    """Reads a list ahead in a thread, as far as there is room: a slow list keeps nothing else waiting."""

    def __init__(self, groups: Iterable[RecordGroup], ahead: int) -> None:
        self._queue: queue.Queue[RecordGroup | BaseException | None] = queue.Queue(ahead)
        self._closed = threading.Event()
        self.ended = False
        """There is no more."""
        threading.Thread(target=self._run, args=(groups,), daemon=True).start()

    def next(self, wait_s: float) -> RecordGroup | None:
        """The next group; None if there is none within this time, or no more at all.

        Raises:
            LlavaError: the list cannot be read.
        """
        if self.ended:
            return None
        try:
            found = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        self.ended = not isinstance(found, RecordGroup)
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Read no further."""
        self._closed.set()
        with suppress(queue.Empty):  # the thread may wait for room
            while True:
                self._queue.get_nowait()

    def _run(self, groups: Iterable[RecordGroup]) -> None:
        try:
            for group in groups:
                self._queue.put(group)
                if self._closed.is_set():
                    return
        except BaseException as error:
            self._queue.put(error)
        else:
            self._queue.put(None)


class Count:
    """How many items a list has, counted in the background; None until that is known."""

    def __init__(self, items: Callable[[], Iterable[Item]] | None) -> None:
        self.value: int | None = None
        if items is not None:
            threading.Thread(target=self._run, args=(items,), daemon=True).start()

    def _run(self, items: Callable[[], Iterable[Item]]) -> None:
        try:
            self.value = sum(1 for _ in items())
        except Exception:
            self.value = None  # whoever reads the list for its jobs says what is wrong with it
