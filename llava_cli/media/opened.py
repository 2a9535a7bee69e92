# SPDX-License-Identifier: Apache-2.0
"""The media of one conversation, open as long as it lasts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack

from llava_cli.media.clip import Media, View
from llava_cli.media.limits import Limits
from llava_cli.media.opening import open_source
from llava_cli.media.source import Source
from llava_cli.media.worker.pool import Decoded, Decoding

log = logging.getLogger(__name__)


class OpenMedia:
    """The media of one conversation: each is opened once, pipes too, and decoded once for each view."""

    def __init__(self, pool: Decoding, limits: Limits) -> None:
        self._pool, self._limits = pool, limits
        self._stack = ExitStack()
        self._opened: dict[str, Source] = {}
        self._shown: dict[tuple[str, View], Media] = {}
        self._decoding: dict[tuple[str, View], Future[Decoded]] = {}
        self._told: set[int] = set()
        self.decode_s = 0.0
        """Seconds that decoding has taken since the last answer."""

    def begin(self, media: Sequence[tuple[str, View]]) -> None:
        """Have these decoded in the background, each in its view, where they are not yet."""
        known = self._shown.keys() | self._decoding.keys()
        missing = [one for one in dict.fromkeys(media) if one not in known]
        if missing:
            future = self._pool.submit([(self.source(name), view) for name, view in missing])
            self._decoding |= dict.fromkeys(missing, future)

    @property
    def busy(self) -> bool:
        """Whether something is still being decoded."""
        return not all(future.done() for future in self._decoding.values())

    def shown(self, media: Sequence[tuple[str, View]]) -> list[Media]:
        """What each of these shows; what is named twice in one view is the same object twice.

        Raises:
            InputError: a file cannot be read.
        """
        self.begin(media)
        waiting, self._decoding = self._decoding, {}
        for future in dict.fromkeys(waiting.values()):
            decoded = future.result()
            self.decode_s += decoded.seconds
            keys = [key for key, its_future in waiting.items() if its_future is future]
            self._shown |= zip(keys, decoded.media, strict=True)
        return [self._shown[one] for one in media]

    def tell_of(self, media: Sequence[Media]) -> None:
        """Say what is odd about media that are shown for the first time."""
        for medium in media:
            if id(medium) not in self._told:
                self._told.add(id(medium))
                tell_of(medium)

    def close(self) -> None:
        """Remove what was copied of standard input and pipes."""
        self._stack.close()

    def source(self, name: str) -> Source:
        """The file, open; what comes through a pipe has been copied.

        Raises:
            InputError: it cannot be read.
        """
        if name not in self._opened:
            self._opened[name] = self._stack.enter_context(open_source(name, self._limits))
        return self._opened[name]


def tell_of(medium: Media) -> None:
    """Say what is odd about a medium."""
    info = medium.info
    log.debug("%s: %dx%d %s, decoded by %s", info.path, info.width, info.height, info.codec, info.decoder)
    for warning in info.warnings:
        log.warning("%s: %s", info.path, warning)
