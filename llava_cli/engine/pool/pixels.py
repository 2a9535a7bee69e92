# SPDX-License-Identifier: Apache-2.0
"""Where in a cluster the pixels are of media that are known here by their outlines only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from llava_cli.media.clip import Media

Held = tuple[Any, int]
"""A reference to media that were decoded together, and the number of one among them."""


class Pixels:
    """References to pixels; each is given up when its medium is forgotten here. For any thread."""

    def __init__(self, put: Callable[[list[Media]], Any]) -> None:
        """`put` gives media of this process to the cluster, for a reference."""
        self._put = put
        self._lock = threading.Lock()
        self._there: WeakKeyDictionary[Media, Held] = WeakKeyDictionary()
        """Of media whose pixels are elsewhere."""
        self._given: WeakKeyDictionary[Media, Held] = WeakKeyDictionary()
        """Of those whose pixels are here too."""

    def keep(self, media: Sequence[Media], reference: Any) -> None:
        """Know that the pixels of these outlines are behind a reference, in this order."""
        with self._lock:
            for number, medium in enumerate(media):
                self._there[medium] = reference, number

    def of(self, medium: Media) -> Held:
        """Where they are; those of media that are here are given to the cluster first."""
        with self._lock:
            held = self._there.get(medium) or self._given.get(medium)
            if held is None:
                held = self._given[medium] = self._put([medium]), 0
            return held

    def elsewhere(self, medium: Media) -> Held | None:
        """Where they are, if they are not here."""
        with self._lock:
            return self._there.get(medium)
