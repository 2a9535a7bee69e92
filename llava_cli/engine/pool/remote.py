# SPDX-License-Identifier: Apache-2.0
"""What runs on the nodes of a cluster: engines, and decoding. Needs nothing of the cluster's library itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from llava_cli import __version__
from llava_cli.bugs import as_failure
from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.pool.seam import Terms
from llava_cli.engine.warm.wire import dump, load
from llava_cli.errors import LlavaError, ModelError
from llava_cli.machine import cores
from llava_cli.media.clip import Media, View, outline, shape_of
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.source import is_url
from llava_cli.media.worker.parent import Worker
from llava_cli.media.worker.pool import decode

Place = tuple[int, int]
"""Of a medium among those that come with a batch: which group, and which of it."""


class RemoteRunner:
    """A runner as an actor. What it raises is told, not raised: the library would wrap it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def start(self, version: str) -> Terms | LlavaError:
        """As `Runner.start`, where the driver is of the same version."""

        def started() -> Terms:
            if version != __version__:
                raise ModelError(f"{socket.gethostname()} has llava {__version__}, this machine {version}: install one")
            return self._runner.start()

        return _told(started)

    def load(self) -> LlavaError | None:
        return _told(self._runner.load)

    def answer(self, batch: bytes, *groups: Sequence[Media]) -> bytes:
        """As `Runner.answer`; media travel apart from what refers to them, in groups as they were decoded."""
        place_of = {id(medium): (at, number) for at, group in enumerate(groups) for number, medium in enumerate(group)}
        outcome = self._runner.answer(load(batch, lambda place: groups[place[0]][place[1]]))
        return dump(outcome, lambda medium: place_of[id(medium)])


def _told(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except BaseException as error:
        return as_failure(error).with_traceback(None)


@dataclass(frozen=True)
class Seen:
    """What files show, but for their pixels."""

    outlines: list[Media]
    shapes: list[tuple[int, ...]]
    seconds: float


@dataclass(frozen=True)
class Unseen:
    """A file that is not there on this node."""

    path: str


_workers: dict[Limits, Worker] = {}
"""The decoding process of this one, which serves one task after the other."""


def decode_there(
    wanted: Sequence[tuple[str, View]], limits: Limits, folder: str
) -> tuple[Seen | Unseen | Exception, list[Media]]:
    """What some files show: apart, all that is to be known of it, and the pixels.

    Args:
        folder: the driver's current one, from which names are seen.
    """
    with suppress(OSError):
        os.chdir(folder)
    for path, _ in wanted:
        if not is_url(path) and not os.access(path, os.R_OK):
            return Unseen(path), []
    if limits not in _workers:
        share = replace(limits, max_memory=limits.max_memory or half_of_memory() // cores())
        _workers[limits] = Worker(share, threads=1)
    try:
        decoded = decode(_workers[limits], wanted)
    except Exception as error:
        return error.with_traceback(None), []
    media = decoded.media
    return Seen([outline(one) for one in media], [shape_of(one) for one in media], decoded.seconds), media
