# SPDX-License-Identifier: Apache-2.0
"""Which frames are shown: pure functions of a video's timeline. Nothing here opens a file.

A rate counts as constant when no frame is half a frame interval or more away from where an even rate would put it
(or one tick, where the time base is coarser than that). That takes in time stamps rounded to milliseconds (MKV, FLV),
23.976 frames a second and a camera's jitter, and it means that counting frames and measuring time pick the same
frame to within one. Such videos are sampled by counting, as the published recipes do; all others by time.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from llava_cli.errors import UsageError
from llava_cli.media.clip import Policy, Sampling, Spread
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import MAX_FRAMES

CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", re.ASCII)
DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)([smh]?)", re.ASCII)


@dataclass(frozen=True)
class Timeline:
    """When each frame of a video is shown."""

    times: Sequence[float]
    """Seconds from the start of the video, rising, one for each frame in presentation order."""
    tick: float = 0.0
    """Seconds that the file's time base counts in: the time of a frame is off by up to half of it."""
    last: float | None = None
    """Seconds that the last frame is shown, where known."""

    @property
    def total(self) -> int:
        return len(self.times)

    @cached_property
    def interval(self) -> float:
        """Mean seconds between frames; 0 for a single one of unknown length."""
        if self.total < 2:
            return self.last or 0.0
        return (self.times[-1] - self.times[0]) / (self.total - 1)

    @cached_property
    def duration(self) -> float:
        """Seconds from the start of the video to the end of its last frame."""
        return self.times[-1] + (self.interval if self.last is None else self.last)

    @cached_property
    def jitter(self) -> float:
        """Seconds that the worst frame is away from where an even rate would put it."""
        first, interval = self.times[0], self.interval
        return max(abs(time - first - i * interval) for i, time in enumerate(self.times))

    @cached_property
    def constant(self) -> bool:
        """Whether counting frames measures time; the rule is this module's first paragraph."""
        return self.jitter < self.leeway

    @property
    def leeway(self) -> float:
        """Seconds that a frame may be away from where an even rate would put it."""
        return max(self.interval / 2, self.tick * 1.01)

    def fits(self, index: int, time: float) -> bool:
        """Whether a frame that is shown at `time` can be the one that this timeline has in that place."""
        return abs(time - self.times[index]) < self.leeway

    def shown_at(self, time: float) -> int:
        """The index of the frame on screen at `time`; one whose time is rounded up by half a tick still counts."""
        return max(0, bisect_right(self.times, time + self.tick / 2) - 1)

    def between(self, start: float | None, end: float | None) -> range:
        """The indices of the frames with start <= time < end, as exactly as the file's ticks tell them."""
        first = 0 if start is None else bisect_left(self.times, start - self.tick / 2)
        stop = self.total if end is None else bisect_left(self.times, end - self.tick / 2)
        return range(first, max(first, stop))


def choose(timeline: Timeline, sampling: Sampling) -> tuple[list[int], list[str]]:
    """The indices to show, rising and without repeats, and what to say about them.

    Raises:
        MediaError: no frame lies between start and end.
    """
    span = timeline.between(sampling.start, sampling.end)
    if not span and sampling.start is not None and sampling.start < timeline.duration:
        when = f"{clock(sampling.start)} and {clock(sampling.end or timeline.duration)}"
        return [timeline.shown_at(sampling.start)], [f"no frame begins between {when}: the one on screen is shown"]
    if not span:
        raise MediaError(
            f"no frame between {clock(sampling.start or 0.0)} and "
            f"{'the end' if sampling.end is None else clock(sampling.end)}; "
            f"the video lasts {clock(timeline.duration)}"
        )
    if sampling.policy == "fps":
        return _by_rate(timeline, span, sampling)
    if len(span) <= sampling.frames:
        note = f"{len(span)} of the {sampling.frames} frames asked for: there are no more"
        return list(span), [note] if len(span) < sampling.frames else []
    chosen = _spread(timeline, span, sampling.policy, sampling)
    if len(chosen) == sampling.frames:
        return chosen, []
    return chosen, [f"{len(chosen)} of the {sampling.frames} frames asked for: the others would be repeats"]


def _spread(timeline: Timeline, span: range, policy: Spread, sampling: Sampling) -> list[int]:
    """Choose from more frames than are wanted."""
    if timeline.constant:
        return [span[place] for place in PLACES[policy](len(span), sampling.frames)]
    if policy in ("linspace", "linspace-rounded"):
        begin, end = timeline.times[span.start], timeline.times[span[-1]]
        steps: float = max(1, sampling.frames - 1)
    else:
        begin, end = _bounds(timeline, span, sampling)
        # Of a stride, as many as there would be of frames that are shown equally long.
        steps = sampling.frames if policy == "uniform" else len(span) / (len(span) // sampling.frames)
    moments = (begin + i * (end - begin) / steps for i in range(sampling.frames))
    indices = (min(max(timeline.shown_at(moment), span.start), span[-1]) for moment in moments)
    return list(dict.fromkeys(indices))


def _bounds(timeline: Timeline, span: range, sampling: Sampling) -> tuple[float, float]:
    begin = timeline.times[span.start] if sampling.start is None else sampling.start
    return begin, timeline.duration if sampling.end is None else min(sampling.end, timeline.duration)


def _by_rate(timeline: Timeline, span: range, sampling: Sampling) -> tuple[list[int], list[str]]:
    """Choose each frame that is on screen at a multiple of 1 / fps from the first one on.

    It goes through the frames, not through the moments: of those an absurd rate has no end.
    """
    fps = sampling.fps or 1.0
    begin, end = timeline.times[span.start], _bounds(timeline, span, sampling)[1]
    passed = [max(0, math.ceil((timeline.times[i] - timeline.tick / 2 - begin) * fps)) for i in span]
    passed.append(math.ceil((end - timeline.tick / 2 - begin) * fps))
    chosen = [i for i, here, there in zip(span, passed, passed[1:], strict=False) if here < there] or [span.start]
    if len(chosen) <= sampling.frames:
        return chosen, []
    remedy = f"no more than {MAX_FRAMES} can be had" if sampling.frames == MAX_FRAMES else "--frames allows more"
    note = f"{fps:g} frames a second would be {len(chosen)} frames; {sampling.frames} are spread over the same time"
    return _spread(timeline, span, "linspace", sampling), [f"{note}: {remedy}"]


def uniform(total: int, count: int) -> list[int]:
    """The first `count` of np.arange(0, total, total / count) rounded down; `count` is at most `total`.

    As in `linspace`, the arithmetic is numpy's own, in doubles: of 208 frames the 48 published ones are not quite
    floor(i * total / count).
    """
    step = total / count
    return [int(i * step) for i in range(count)]


def stride(total: int, count: int) -> list[int]:
    """Every so many frames from the first on: i * floor(total / count); `count` is at most `total`."""
    return [i * (total // count) for i in range(count)]


def linspace(total: int, count: int) -> list[int]:
    """`count` indices from the first to the last, each once: np.linspace(0, total - 1, count) rounded down.

    The arithmetic is numpy's own, in doubles: in whole numbers one index in a few hundred would differ.
    """
    return _linspace(total, count, int)


def linspace_rounded(total: int, count: int) -> list[int]:
    """As `linspace`, but rounded to the nearest, halves to the even one."""
    return _linspace(total, count, round)


def _linspace(total: int, count: int, whole: Callable[[float], int]) -> list[int]:
    if count == 1:
        return [0]
    step = (total - 1) / (count - 1)
    return list(dict.fromkeys([*(whole(i * step) for i in range(count - 1)), total - 1]))


PLACES: dict[Spread, Callable[[int, int], list[int]]] = {
    "uniform": uniform, "linspace": linspace, "linspace-rounded": linspace_rounded, "stride": stride,
}  # fmt: skip


def check(sampling: Sampling) -> None:
    """Refuse a sampling whose numbers make no sense.

    Raises:
        UsageError: they do not.
    """
    if sampling.policy not in get_args(Policy):
        raise UsageError(f"--sampling {sampling.policy!r}: must be {', '.join(get_args(Spread))}")
    if sampling.frames < 1:
        raise UsageError(f"--frames {sampling.frames}: at least one frame is needed")
    if sampling.frames > MAX_FRAMES:
        raise UsageError(f"--frames {sampling.frames}: at most {MAX_FRAMES} frames may be asked for")
    if sampling.policy == "fps" and sampling.fps is None:
        raise UsageError("sampling by rate needs --fps")
    if sampling.fps is not None and not (math.isfinite(sampling.fps) and sampling.fps > 0):
        raise UsageError(f"--fps {sampling.fps}: a positive number of frames a second is needed")
    for name, time in (("--start", sampling.start), ("--end", sampling.end)):
        if time is not None and not (math.isfinite(time) and time >= 0):
            raise UsageError(f"{name} {time}: a time from 0 on is needed")
    if sampling.end is not None and sampling.end <= (sampling.start or 0.0):
        raise UsageError(f"--end {clock(sampling.end)} is not after --start {clock(sampling.start or 0.0)}")


def parse_time(text: str) -> float:
    """Seconds for "83", "83.5", "1:23.5" or "0:01:23.5".

    Raises:
        UsageError: it is anything else.
    """
    match = CLOCK.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is not a time; write seconds (83.5) or h:mm:ss (0:01:23.5)")
    hours, minutes, seconds = match.groups()
    if (minutes is not None and float(seconds) >= 60) or (hours is not None and int(minutes) >= 60):
        raise UsageError(f"{text!r} is not a time; minutes and seconds go up to 59")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def parse_duration(text: str) -> float:
    """Seconds for "90", "30s", "5m" or "2h".

    Raises:
        UsageError: it is anything else.
    """
    match = DURATION.fullmatch(text.strip())
    if not match:
        raise UsageError(f"must be a time like 30s, 5m or 2h, not {text[:40]!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.mmm, without the hours where there are none."""
    millis = round(seconds * 1000)
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 1000:06.3f}" if hours else f"{minutes}:{rest / 1000:06.3f}"
