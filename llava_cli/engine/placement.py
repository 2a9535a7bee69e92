# SPDX-License-Identifier: Apache-2.0
"""Which device holds which layers of a language model, and what each device holds then: sizes and budgets only.

Layers stay whole. All that is no layer (vision tower, projector, embeddings, the last layer) lies on the first device:
it is small beside them, is called from outside of the model's own run, and the embeddings may be the last layer too.
Layers on a device that does not compute are brought to the first one each time they run, so that their keys and values
are there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llava_cli.engine.memory import MemoryPlan, Needs

_STEPS = 64
"""Of bisection: enough for bytes."""


@dataclass(frozen=True)
class Room:
    """A device, and what of it may be used."""

    device: str
    free: float
    """Bytes; without end on a disk."""
    fixed: float = 0.0
    """Bytes that are taken before any weight is."""
    computes: bool = True
    """Whether layers run where they lie."""


Places = tuple[int, ...]
"""For each layer the place of its room."""


def place(needs: Needs, rooms: Sequence[Room]) -> Places:
    """Where the layers go, in their order. The rooms that compute come first.

    Where these hold all, each is left as much free as the others. Where they do not, they hold what they can, and the
    last layers go to the rooms that do not compute. The last room takes what fits nowhere: see `usage`.
    """
    count = len(needs.layers)
    if all(room.computes for room in rooms) or _filled(needs, rooms, count) is not None:
        return _balanced(needs, rooms)
    found = (_filled(needs, rooms, kept) for kept in range(count - 1, -1, -1))
    first = next((places for places in found if places is not None), ())
    stores = [(at, room.free - room.fixed) for at, room in enumerate(rooms) if not room.computes]
    return (*first, *_poured(needs.layers[len(first) :], stores))


def usage(needs: Needs, rooms: Sequence[Room], places: Places) -> MemoryPlan:
    """What each device holds when the layers lie so. Disks are no memory."""
    brought = [weight for weight, at in zip(needs.layers, places, strict=True) if not rooms[at].computes]
    plans = {}
    for at, room in enumerate(rooms):
        own = [weight for weight, place in zip(needs.layers, places, strict=True) if place == at]
        if math.isinf(room.free) or (at and not own):
            continue
        weights, cached = sum(own), len(own) if room.computes else 0
        if at == 0:
            weights, cached = weights + needs.rest, cached + len(brought)
        working = _working(needs, at, brought) if room.computes else 0.0
        plans[room.device] = MemoryPlan(weights, cached * needs.cache, working, room.free, room.fixed)
    if len(plans) == 1:
        return next(iter(plans.values()))
    names = ("weights", "cache", "activations", "free", "fixed")
    return MemoryPlan(**{name: sum(getattr(part, name) for part in plans.values()) for name in names}, devices=plans)


def _balanced(needs: Needs, rooms: Sequence[Room]) -> Places:
    """All layers on rooms that compute, so that the least that one of them has left is as much as can be."""
    most = max(room.free for room in rooms if room.computes)
    least = -(needs.rest + sum(needs.layers) + len(needs.layers) * needs.cache + needs.prefill + needs.vision + most)
    found = (0,) * len(needs.layers)
    for _ in range(_STEPS):
        spare = (least + most) / 2
        places = _filled(needs, rooms, len(needs.layers), spare)
        if places is None:
            most = spare
        else:
            found, least = places, spare
    return found


def _filled(needs: Needs, rooms: Sequence[Room], kept: int, spare: float = 0.0) -> Places | None:
    """The first `kept` layers on rooms that compute, each with `spare` bytes left; None where they do not fit."""
    brought = needs.layers[kept:]
    computing = [room for room in rooms if room.computes]
    left = [room.free - room.fixed - spare - _working(needs, at, brought) for at, room in enumerate(computing)]
    left[0] -= needs.rest + len(brought) * needs.cache
    if left[0] < 0:
        return None
    places: list[int] = []
    at = 0
    for weight in needs.layers[:kept]:
        while at < len(left) and left[at] < weight + needs.cache:
            at += 1
        if at == len(left):
            return None
        left[at] -= weight + needs.cache
        places.append(at)
    return tuple(places)


def _poured(weights: Sequence[float], stores: Sequence[tuple[int, float]]) -> Places:
    """Layers into rooms, given with what they take, one after the other; the last takes all that is left."""
    places: list[int] = []
    (at, left), *others = stores
    for weight in weights:
        while left < weight and others:
            (at, left), *others = others
        left -= weight
        places.append(at)
    return tuple(places)


def _working(needs: Needs, at: int, brought: Sequence[float]) -> float:
    """What a room that computes holds beside weights and cache; the first also the layer that is brought there."""
    return max(needs.prefill, needs.vision) + max(brought, default=0.0) if at == 0 else needs.prefill


class Layout:
    """Where the layers lie. The first prompts that are planned for, and fit, decide it, or else loading."""

    def __init__(self, rooms: Sequence[Room], usual: Needs) -> None:
        """`usual` is what the usual prompt takes: where there is enough room for it too, it is left."""
        self.rooms = rooms
        self._usual = usual
        self._decided: Places | None = None

    @property
    def places(self) -> Places:
        """For each layer the place of its room."""
        return self._decided or self._best(self._usual)

    def plan(self, needs: Needs) -> MemoryPlan:
        """What each device holds for some prompts."""
        places = self._decided or self._best(needs)
        plan = usage(needs, self.rooms, places)
        if needs.cache and plan.fits():
            self._decided = places
        return plan

    def decide(self) -> None:
        """Have the layers lie where they are best for the usual prompt, if that is still open."""
        self._decided = self.places

    def _best(self, needs: Needs) -> Places:
        places = place(max(needs, self._usual, key=lambda some: some.cache), self.rooms)
        return places if usage(needs, self.rooms, places).fits() else place(needs, self.rooms)


def layers_shown(rooms: Sequence[Room], places: Places) -> dict[str, str]:
    """The layers on each device, as "0-29"; they follow each other."""
    numbers = {room.device: [layer for layer, at in enumerate(places) if rooms[at] is room] for room in rooms}
    return {device: f"{layers[0]}-{layers[-1]}" for device, layers in numbers.items() if layers}
