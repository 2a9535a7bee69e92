# SPDX-License-Identifier: Apache-2.0
"""Decoding on the nodes of a cluster: pixels stay there, and only what else is known of media comes here.

A node that cannot see a file is not asked for files again, which is said once; where none can see it, it is decoded on
this machine.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.engine.pool.pixels import Pixels
from llava_cli.engine.pool.remote import Seen, Unseen, decode_there
from llava_cli.media.clip import Media, outlined
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source, is_url
from llava_cli.media.windows import Division, Window
from llava_cli.media.worker.pool import Decoded, Decoding, Wanted

if TYPE_CHECKING:
    from llava_cli.engine.pool.cluster import Node, RayCluster

log = logging.getLogger(__name__)


class ClusterDecoding:
    """See `Decoding`."""

    def __init__(self, cluster: RayCluster, pixels: Pixels, here: Callable[[], Decoding], limits: Limits) -> None:
        """`here` makes what decodes on this machine, where that is needed."""
        self._cluster, self._pixels, self._limits = cluster, pixels, limits
        self._make_here = here
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        """Tasks that each node has."""
        self._blind: set[str] = set()
        """Nodes that do not see this machine's files."""

    def submit(self, media: Sequence[Wanted]) -> Future[Decoded]:
        future: Future[Decoded] = Future()
        self._begin(media, future)
        return future

    def whole(self, media: Sequence[Media]) -> Sequence[Media]:
        held = [self._pixels.elsewhere(medium) for medium in media]
        return [
            medium if place is None else self._cluster.get(place[0])[place[1]]
            for medium, place in zip(media, held, strict=True)
        ]

    def windows(
        self, medium: str | Source, division: Division, start: float | None = None, end: float | None = None
    ) -> list[Window]:
        """On this machine: where windows begin is known before anything is handed out."""
        return self._here.windows(medium, division, start, end)

    def close(self) -> None:
        with self._lock:
            if "_here" in vars(self):
                self._here.close()
        self._cluster.close()

    @cached_property
    def _here(self) -> Decoding:
        return self._make_here()

    def _begin(self, wanted: Sequence[Wanted], future: Future[Decoded]) -> None:
        names = [(name, view) for name, view in wanted if not isinstance(name, Source)]
        node = self._node([name for name, _ in names])
        if node is None or len(names) < len(wanted):
            self._decode_here(wanted, future)
            return
        with self._lock:
            self._busy[node.id] += 1
        first, pixels = self._cluster.run(decode_there, (names, self._limits, os.getcwd()), node.id)  # noqa: PTH109
        first.add_done_callback(lambda done: self._take(done, pixels, node, wanted, future))

    def _node(self, names: Sequence[str]) -> Node | None:
        """The node that has the least to do of those that can read these."""
        files = not all(map(is_url, names))
        with self._lock:
            free = [node for node in self._cluster.seen if node.cpus and not (files and node.id in self._blind)]
            return min(free, key=lambda node: self._busy[node.id] / node.cpus, default=None)

    def _take(
        self, done: Future[Any], pixels: Any, node: Node, wanted: Sequence[Wanted], future: Future[Decoded]
    ) -> None:
        """What came of a task; called by a thread of the library's."""
        with self._lock:
            self._busy[node.id] -= 1
        seen = None if done.exception() else done.result()
        with suppress(InvalidStateError):  # cancelled meanwhile
            if isinstance(seen, Seen):
                media = list(map(outlined, seen.outlines, seen.shapes))
                self._pixels.keep(media, pixels)
                future.set_result(Decoded(media, seen.seconds))
            elif isinstance(seen, Unseen) and os.access(seen.path, os.R_OK):
                self._tell_of(node, seen.path)
                self._begin(wanted, future)
            elif isinstance(seen, Exception):
                future.set_exception(seen)
            else:  # nobody sees it, or the node has gone: this machine says what is wrong with it, if anything is
                self._decode_here(wanted, future)

    def _tell_of(self, node: Node, path: str) -> None:
        with self._lock:
            if node.id in self._blind or not self._cluster.has(node.id):
                return
            self._blind.add(node.id)
            others = any(other.id not in self._blind for other in self._cluster.seen)
        where = "on other nodes" if others else "on this machine"
        log.warning("node %s cannot see %s: from now on files are decoded %s", node.name, path, where)

    def _decode_here(self, wanted: Sequence[Wanted], future: Future[Decoded]) -> None:
        def take(done: Future[Decoded]) -> None:
            with suppress(InvalidStateError):
                error = done.exception()
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(done.result())

        with self._lock:
            decoding = self._here.submit(wanted)
        decoding.add_done_callback(take)
