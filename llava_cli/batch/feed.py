# SPDX-License-Identifier: Apache-2.0
"""The list, read ahead by a thread: jobs about the same scene in groups, each with its key."""

from __future__ import annotations

import hashlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from llava_cli.batch import identity
from llava_cli.batch.jobs import Item, Job, Unusable

_LARGEST_GROUP = 64


@dataclass(frozen=True)
class Keyed:
    """An item of the list, and what a record of it is known by."""

    item: Item
    key: str
    id: str | int

    @property
    def media(self) -> tuple[str, ...]:
        return self.item.media if isinstance(self.item, Job) else ()

    @property
    def identity(self) -> bytes:
        return identity.identity(self.key, self.id, self.media)


Group = list[Keyed]
"""Jobs that follow each other in the list and show the same scene; or one line that is no job."""


def shard(items: Iterable[Item], number: int, count: int) -> Iterator[Item]:
    """One of `count` parts of a list, counted from 1. Which one an item is in depends on its media only."""
    for item in items:
        name = "\0".join(item.media) if isinstance(item, Job) else item.text
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        if int.from_bytes(digest[:8], "big") % count == number - 1:
            yield item


def grouped(items: Iterable[Item], identifier: identity.Identifier) -> Iterator[Group]:
    """The items in groups, with their keys; the files of each group are looked at once."""
    for _, same in itertools.groupby(items, lambda item: item.scene if isinstance(item, Job) else item):
        while some := list(itertools.islice(same, _LARGEST_GROUP)):
            yield _keyed(some, identifier)


def _keyed(items: list[Item], identifier: identity.Identifier) -> Group:
    contents: list[str] | None = None
    group = []
    for item in items:
        if isinstance(item, Unusable):
            key = identity.key_of_line(item)
            group.append(Keyed(item, key, identity.default_id(key, ())))
            continue
        if contents is None:
            contents = [identity.content(path) for path in item.media]
        key = identifier.key(item, contents)
        group.append(Keyed(item, key, identity.default_id(key, item.media) if item.id is None else item.id))
    return group


class Feed:
    """Reads a list ahead in a thread, as far as there is room: a slow list keeps nothing else waiting."""

    def __init__(self, groups: Iterable[Group], ahead: int) -> None:
        self._queue: queue.Queue[Group | BaseException | None] = queue.Queue(ahead)
        self._ended = False
        threading.Thread(target=self._run, args=(groups,), daemon=True).start()

    def next(self, wait_s: float) -> Group | None:
        """The next group; None if there is none within this time, or no more at all.

        Raises:
            LlavaError: the list cannot be read.
        """
        if self._ended:
            return None
        try:
            found = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            self._ended = True
            raise found
        self._ended = found is None
        return found

    @property
    def ended(self) -> bool:
        """There is no more."""
        return self._ended

    def _run(self, groups: Iterable[Group]) -> None:
        try:
            for group in groups:
                self._queue.put(group)
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
