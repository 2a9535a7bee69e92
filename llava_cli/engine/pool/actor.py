# SPDX-License-Identifier: Apache-2.0
"""An engine as an actor on a node of a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llava_cli import __version__
from llava_cli.engine.pool.pixels import Pixels
from llava_cli.engine.pool.remote import Place, RemoteRunner
from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.pool.seam import Left, Outcome, Terms
from llava_cli.engine.types import Query
from llava_cli.engine.warm.wire import dump, load
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Media

if TYPE_CHECKING:
    from llava_cli.engine.pool.cluster import RayCluster

log = logging.getLogger(__name__)

_PATIENCE_S = 60.0
"""After which it is said that a node has no room for an engine."""


class ActorSeat:
    """See `Seat`. Each death is followed by a fresh actor on the same node, as long as that is there."""

    def __init__(self, cluster: RayCluster, pixels: Pixels, node: str, name: str, runner: Runner, gpus: float) -> None:
        """`gpus`: how many each engine takes."""
        self.name = name
        self._cluster, self._pixels, self._node = cluster, pixels, node
        self._runner, self._gpus = runner, gpus
        self._actor: Any = None
        self._killed = False
        self._asked_at = 0.0
        """When the node was asked for room; 0 where that has been complained of."""

    def start(self) -> Terms:
        self.end()
        if not self._cluster.has(self._node):
            raise Left
        self._actor = self._cluster.start_actor(RemoteRunner, (self._runner,), self._node, self._gpus)
        self._asked_at = time.monotonic()
        self._cluster.get(self._actor.__ray_ready__.remote(), self._wait_for_room)
        terms: Terms = self._told(self._actor.start.remote(__version__))
        return terms

    def load(self) -> None:
        self._told(self._actor.load.remote())

    def answer(self, batch: Sequence[Query]) -> Outcome:
        groups: dict[Any, int] = {}
        media: dict[Place, Media] = {}

        def place_of(medium: Media) -> Place:
            reference, number = self._pixels.of(medium)
            place = groups.setdefault(reference, len(groups)), number
            media[place] = medium
            return place

        letter = dump(list(batch), place_of)
        outcome: Outcome = load(self._get(self._actor.answer.remote(letter, *groups)), media.__getitem__)
        return outcome

    def kill(self) -> None:
        self._killed = True
        self.end()

    def end(self) -> None:
        actor, self._actor = self._actor, None
        if actor is not None:
            self._cluster.kill(actor)

    def _get(self, reference: Any) -> Any:
        return self._cluster.get(reference, lambda: not self._killed)

    def _told(self, reference: Any) -> Any:
        """What the runner says, or raises."""
        said = self._get(reference)
        if isinstance(said, LlavaError):
            raise said
        return said

    def _wait_for_room(self) -> bool:
        if self._asked_at and time.monotonic() - self._asked_at > _PATIENCE_S:
            self._asked_at = 0.0
            log.info("%s has no room for an engine yet: waiting for other work there to end", self.name)
        return not self._killed
