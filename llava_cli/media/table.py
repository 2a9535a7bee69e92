# SPDX-License-Identifier: Apache-2.0
"""The frame table: which packets a video's frames are in, found without decoding any.

A container lists its packets in the order they are decoded. Frames are shown in another: within a group of pictures
(a keyframe and what follows it), the n-th frame shown is the packet with the n-th smallest presentation stamp. So the
number of frames before each keyframe is all that has to be known to find any frame.
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


class SeekError(Exception):
    """Seeking cannot be trusted in this file, for the reason in the message: decode it from the start."""


@dataclass(frozen=True)
class Group:
    """A keyframe and the packets up to the next one."""

    packet: int
    """Place of the keyframe among the packets, in file order."""
    first: int
    """Frames that are shown before any of this group."""
    dts: int | None
    pts: int | None
    """The keyframe's stamps, by which a seek is checked; an index knows only the first."""


@dataclass(frozen=True)
class FrameTable:
    """All of a video's frames, by group."""

    groups: Sequence[Group]
    packets: int
    timeline: Timeline
    stamps: Sequence[int] | None
    """Each frame's presentation stamp, in order; None where only an index was read, which lacks them."""
    order: Sequence[int] | None = None
    """Each packet's presentation stamp, in file order: what a seek must lead back to. None with an index."""
    jittery: bool = False
    """Whether the timeline holds an even rate in place of stamps that differ from it by more than rounding."""
    whole: bool = True
    """Whether the file is long enough to hold all packets."""

    @property
    def total(self) -> int:
        return self.timeline.total

    def group_of(self, index: int) -> int:
        """Return the place in `groups` of the one that holds frame `index`."""
        return max(0, bisect_right(self.groups, index, key=lambda group: group.first) - 1)

    def expects(self, packet: int, stamp: int | None) -> bool:
        """Return whether a packet with this stamp can stand in this place of the file; an index leaves that open."""
        return self.order is None or (packet < len(self.order) and stamp == self.order[packet])

    def size(self, place: int) -> int:
        """Return the number of packets in a group."""
        stop = self.groups[place + 1].packet if place + 1 < len(self.groups) else self.packets
        return stop - self.groups[place].packet


def from_index(stream: VideoStream) -> FrameTable | None:
    """Build the table from the demuxer's own index, which mp4 and mov load on opening; None where it has gaps.

    Costs a few milliseconds for an hour of video. Such an index holds decoding stamps only, so the timeline comes out
    as an even rate; where the file's is not even, `from_packets` has to read each stamp.
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
    stamps = array("q")
    end = 0
    for packet, entry in enumerate(entries):
        end = max(end, entry.pos + entry.size)
        flags = entry.flags
        if flags & KEY:
            groups.append(Group(packet, len(stamps), entry.timestamp, None))
        if not flags & DISCARD:
            stamps.append(entry.timestamp)
    if not groups or groups[0].packet or not stamps:
        return None
    tick = float(stream.time_base)
    decoded = Timeline([stamp * tick for stamp in stamps], tick)
    if not decoded.constant:
        return None
    last = (stream.duration or 0) * tick if len(stamps) == 1 else decoded.interval
    even = Timeline([i * decoded.interval for i in range(len(stamps))], tick, last)
    jittery = decoded.jitter > tick * 1.01
    return FrameTable(groups, len(entries), even, stamps=None, jittery=jittery, whole=end <= size)


def from_packets(stream: VideoStream, packets: Iterable[Packet[VideoStream]]) -> FrameTable:
    """Build the table by reading every packet, in file order, without decoding.

    Raises SeekError where the stamps do not put the frames in order.
    """
    codec = _codec(stream)
    if codec in REORDERING and stream.container.format.name == "avi":
        raise SeekError("presentation stamps that are only guessed: avi holds none")
    groups: list[Group] = []
    order, stamps = array("q"), array("q")
    group_start = 0
    last: tuple[float, int] = (-math.inf, 0)  # stamp and length of the frame shown last
    for packet in packets:
        if packet.pts is None:
            raise SeekError("packets without a presentation stamp")
        if codec == "vp7" or (codec == "mpeg4" and not order and TWO_IN_ONE.search(bytes(packet))):
            raise SeekError("packets that hold no frame, or two")
        if packet.is_keyframe:
            _sort_from(stamps, group_start)
            group_start = len(stamps)
            groups.append(Group(len(order), group_start, packet.dts, packet.pts))
        order.append(packet.pts)
        if not packet.is_discard and (codec != "vp8" or memoryview(packet)[0] & VP8_SHOWN):
            stamps.append(packet.pts)
            last = max(last, (packet.pts, packet.duration or 0))
    _sort_from(stamps, group_start)
    if not groups or groups[0].packet or not stamps:
        raise SeekError("no keyframe to start from")
    if any(here >= there for here, there in pairwise(stamps)):
        raise SeekError("presentation stamps that do not rise")
    base = stream.time_base
    if base is None:
        raise SeekError("no time base")
    times = [(stamp - stamps[0]) * base.numerator / base.denominator for stamp in stamps]
    return FrameTable(groups, len(order), Timeline(times, float(base), float(last[1] * base) or None), stamps, order)


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


def _sort_from(stamps: array[int], start: int) -> None:
    stamps[start:] = array("q", sorted(stamps[start:]))
