# SPDX-License-Identifier: Apache-2.0
"""Which parts of a video are asked by themselves: pure functions of its duration and its cuts. Nothing here opens a
file.

A window begins every so many seconds; with an overlap it goes on that much into the next one. A last one that would be
shorter than half is joined to the one before. Scenes go from cut to cut: those under a second are joined to the one
before, and those that are longer than allowed are divided evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from llava_cli.errors import InputError, UsageError
from llava_cli.media.named import is_a
from llava_cli.media.sampling import parse_duration

SHORTEST_SCENE = 1.0
"""Seconds."""
MOST = 100_000
"""Windows of one video: nobody means more."""


@dataclass(frozen=True)
class Division:
    """How a video is divided into windows.

    Raises:
        UsageError: the numbers make no sense together.
    """

    every: float | None = None
    """Seconds from the start of one window to that of the next."""
    overlap: float = 0.0
    """Seconds that a window goes on into the next one."""
    scenes: bool = False
    """From cut to cut, instead of by the clock."""
    max_window: float | None = None
    """Seconds; longer scenes are divided."""

    def __post_init__(self) -> None:
        if self.scenes and self.every is not None:
            raise UsageError("--every and --scenes cannot be used together; --max-window divides long scenes")
        if self.every is not None and not 0 < self.every < math.inf:
            raise UsageError("--every must be a time above 0")
        if self.overlap and (self.every is None or not 0 < self.overlap < self.every):
            raise UsageError("--overlap must be shorter than --every, which it needs")
        if self.max_window is not None and not (self.scenes and self.max_window >= SHORTEST_SCENE):
            raise UsageError("--max-window must be at least 1 s, and needs --scenes")

    def __bool__(self) -> bool:
        return self.scenes or self.every is not None

    def over(self, begin: float, end: float, cuts: Sequence[float] = ()) -> list[Window]:
        """The windows of what is shown from `begin` to `end`; `cuts` are the times at which scenes begin, rising.

        Raises:
            InputError: they are too many.
        """
        if self.scenes:
            spans = by_scenes(begin, end, cuts, self.max_window)
        else:
            spans = by_clock(begin, end, self.every or end - begin, self.overlap)
        return [Window(number, len(spans), *span) for number, span in enumerate(spans, 1)]


WHOLE_VIDEO = Division()


@dataclass(frozen=True)
class Window:
    """A part of a video that is asked by itself: what is shown in it from `start` on and before `end`."""

    number: int
    """From 1 on."""
    count: int
    """How many windows there are in the video."""
    start: float
    """Seconds from the start of the video."""
    end: float


@dataclass(frozen=True)
class Survey:
    """What has to be known of a file before it is divided."""

    duration: float | None
    """Seconds; None for an image."""
    cuts: tuple[float, ...] = ()
    """When scenes begin, but for the first, where that was asked for."""


_KEYS = tuple(field.name for field in fields(Division))


def division_of(entry: Mapping[str, Any]) -> Division | None:
    """What an object of JSON says of how its video is divided; None where it says nothing.

    Raises:
        InputError: a value makes no sense.
    """
    said = {key: entry[key] for key in _KEYS if entry.get(key) is not None}
    if not said:
        return None
    scenes = said.get("scenes", False)
    if not isinstance(scenes, bool):
        raise InputError("scenes must be true or false")
    times = {key: _seconds(key, value) for key, value in said.items() if key != "scenes"}
    try:
        return Division(scenes=scenes, **times)
    except UsageError as error:
        raise InputError(str(error).replace("--", "").replace("max-window", "max_window")) from error


def _seconds(key: str, given: Any) -> float:
    if isinstance(given, str):
        try:
            return parse_duration(given)
        except UsageError as error:
            raise InputError(f"{key}: {error}") from error
    if not is_a(given, int, float) or not 0 <= given <= 1e9:
        raise InputError(f"{key} must be a time: seconds, or a text like 30s or 5m")
    return float(given)


Span = tuple[float, float]


def by_clock(begin: float, end: float, every: float, overlap: float = 0.0) -> list[Span]:
    """Windows that begin every so many seconds; the last takes in what would be less than half of one.

    Raises:
        InputError: they are too many.
    """
    length = end - begin
    if length / every > MOST:
        raise InputError(f"would be more than {MOST} windows; --every allows longer ones")
    count = max(1, math.floor(length / every + 0.5 + 1e-9))
    starts = [begin + i * every for i in range(count)]
    return [(start, min(start + every + overlap, end) if i + 1 < count else end) for i, start in enumerate(starts)]


def by_scenes(begin: float, end: float, cuts: Iterable[float], longest: float | None = None) -> list[Span]:
    """Scenes, none shorter than a second where there is another to join it to, and none longer than `longest`."""
    bounds = [begin]
    for cut in cuts:
        if cut - bounds[-1] >= SHORTEST_SCENE and cut < end:
            bounds.append(cut)
    if len(bounds) > 1 and end - bounds[-1] < SHORTEST_SCENE:
        bounds.pop()
    return [part for scene in pairwise([*bounds, end]) for part in _evenly(*scene, longest)]


def _evenly(start: float, end: float, longest: float | None) -> list[Span]:
    parts = 1 if longest is None else max(1, math.ceil((end - start) / longest - 1e-9))
    if parts > MOST:
        raise InputError(f"would be more than {MOST} windows; --max-window allows longer ones")
    return list(pairwise([*(start + i * (end - start) / parts for i in range(parts)), end]))
