# SPDX-License-Identifier: Apache-2.0
"""The frame table: which packets a video's frames are in, found without decoding any.

A container lists its packets in the order they are decoded. Frames are shown in another: within a group of pictures
(a keyframe and what follows it), the n-th frame shown is the packet with the n-th smallest presentation time stamp
(pts). So the number of frames before each keyframe is all that has to be known to find any frame.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from llava_cli.media.errors import SeekError
from llava_cli.media.sampling import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

KEY, DISCARD = 1, 2  # bits of IndexEntry.flags, which PyAV reads as a signed field: mask, never compare
HIDING = {"vp7", "vp8"}  # codecs with packets that are only referred to, never shown
REORDERING = {"h264", "hevc"}  # codecs whose order of display FFmpeg cannot tell from the packets alone
TWO_IN_ONE = re.compile(rb"DivX\d+(?:Build|b)\d+p")  # how MPEG-4 encoders sign that packets may hold two frames
VP8_SHOWN = 0x10  # bit of the first byte of a VP8 packet


@dataclass(frozen=True)
class Group:
    """A keyframe and the packets up to the next one."""

    packet: int
    """Place of the keyframe among the packets, in file order."""
    first: int
    """Frames that are shown before any of this group."""
    dts: int | None
    pts: int | None
    """The keyframe's time stamps, by which a seek is checked; an index knows only the first."""


@dataclass(frozen=True)
class FrameTable:
    """All of a video's frames, by group."""

    groups: Sequence[Group]
    packets: int
    timeline: Timeline
    pts: Sequence[int] | None
    """Each frame's, rising; None where only an index was read, which lacks them."""
    order: Sequence[int] | None = None
    """Each packet's pts, in file order: what a seek must lead back to. None with an index."""
    jittery: bool = False
    """Whether the timeline holds an even rate in place of pts that differ from it by more than rounding."""
    whole: bool = True
    """Whether the file is long enough to hold all packets."""

    @property
    def total(self) -> int:
        return self.timeline.total

    def group_of(self, index: int) -> int:
        """The place in `groups` of the one that holds frame `index`."""
        return max(0, bisect_right(self.groups, index, key=lambda group: group.first) - 1)

    def expects(self, packet: int, pts: int | None) -> bool:
        """Whether a packet with this pts can stand in this place of the file; an index leaves that open."""
        return self.order is None or (packet < len(self.order) and pts == self.order[packet])

    def size(self, place: int) -> int:
        """The number of packets in a group."""
        stop = self.groups[place + 1].packet if place + 1 < len(self.groups) else self.packets
        return stop - self.groups[place].packet

    @property
    def longest(self) -> int:
        """The number of packets of the largest group."""
        return max(map(self.size, range(len(self.groups))))


def from_index(stream: VideoStream) -> FrameTable | None:
    """The table, from the demuxer's own index, which mp4 and mov load on opening; None where it has gaps.

    Costs a few milliseconds for an hour of video. Such an index holds dts only, so the timeline comes out as an even
    rate; where the file's is not even, `from_packets` has to read each pts.
    """
    entries = stream.index_entries
    special = _codec(stream) in HIDING or stream.container.format.name == "avi"
    if special or not 0 < stream.frames <= len(entries) or stream.time_base is None:
        return None
    # A few bytes can claim packets by the million. Each has a byte at least.
    size = cast("InputContainer", stream.container).size
    if len(entries) > size:
        return None
    groups: list[Group] = []
    dts = array("q")
    end = 0
    for packet, entry in enumerate(entries):
        end = max(end, entry.pos + entry.size)
        flags = entry.flags
        if flags & KEY:
            groups.append(Group(packet, len(dts), entry.timestamp, None))
        if not flags & DISCARD:
            dts.append(entry.timestamp)
    if not groups or groups[0].packet or not dts:
        return None
    tick = float(stream.time_base)
    decoded = Timeline([units * tick for units in dts], tick)
    if not decoded.constant:
        return None
    last = (stream.duration or 0) * tick if len(dts) == 1 else decoded.interval
    even = Timeline([i * decoded.interval for i in range(len(dts))], tick, last)
    jittery = decoded.jitter > tick * 1.01
    return FrameTable(groups, len(entries), even, pts=None, jittery=jittery, whole=end <= size)


def from_packets(stream: VideoStream, packets: Iterable[Packet[VideoStream]]) -> FrameTable:
    """The table, from every packet in file order, without decoding.

    Raises:
        SeekError: the pts do not put the frames in order.
    """
    codec = _codec(stream)
    if codec in REORDERING and stream.container.format.name == "avi":
        raise SeekError("presentation stamps that are only guessed: avi holds none")
    groups: list[Group] = []
    order, pts = array("q"), array("q")
    group_start = 0
    last: tuple[float, int] = (-math.inf, 0)  # pts and duration of the frame shown last
    for packet in packets:
        if packet.pts is None:
            raise SeekError("packets without a presentation stamp")
        if codec == "vp7" or (codec == "mpeg4" and not order and TWO_IN_ONE.search(bytes(packet))):
            raise SeekError("packets that hold no frame, or two")
        if packet.is_keyframe:
            _sort_from(pts, group_start)
            group_start = len(pts)
            groups.append(Group(len(order), group_start, packet.dts, packet.pts))
        order.append(packet.pts)
        if not packet.is_discard and (codec != "vp8" or memoryview(packet)[0] & VP8_SHOWN):
            pts.append(packet.pts)
            last = max(last, (packet.pts, packet.duration or 0))
    _sort_from(pts, group_start)
    if not groups or groups[0].packet or not pts:
        raise SeekError("no keyframe to start from")
    if any(here >= there for here, there in pairwise(pts)):
        raise SeekError("presentation stamps that do not rise")
    base = stream.time_base
    if base is None:
        raise SeekError("no time base")
    times = [(units - pts[0]) * base.numerator / base.denominator for units in pts]
    return FrameTable(groups, len(order), Timeline(times, float(base), float(last[1] * base) or None), pts, order)


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


def _sort_from(pts: array[int], start: int) -> None:
    pts[start:] = array("q", sorted(pts[start:]))
