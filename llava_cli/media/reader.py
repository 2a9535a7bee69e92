# SPDX-License-Identifier: Apache-2.0
"""One open video: its packets from any keyframe on, and the frames that are wanted out of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import av
from av.stream import Discard, Disposition

from llava_cli.errors import UsageError
from llava_cli.media import alpha, h264
from llava_cli.media.errors import DamageError, DecoderError, MediaError, SeekError
from llava_cli.media.limits import Limits
from llava_cli.media.sampling import parse_time
from llava_cli.media.source import FORMATS, Source, check_pixels, check_walk
from llava_cli.media.stream import BUFFER
from llava_cli.media.table import FrameTable, Group

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}

REORDER = 17
"""A frame is decoded at most 16 places away from where it is shown: the bound of H.264 and HEVC."""

BACK = 4
"""Keyframes to go back for a frame that does not come out after its own."""

START = -(10**12)
"""A pts before any video's first."""

READ_SKIP_ONCE = ("libdav1d", "libaom-av1")
"""Decoders that read skip_frame when they open; setting it would lose wanted frames for good."""


class Reader:
    """An open container, its video stream and a decoder. It belongs to one thread; opening decodes a frame or a few."""

    def __init__(self, source: Source, *, strict: bool = False) -> None:
        """Open `source`; `strict` has the decoder refuse what is damaged, which else it conceals as well as it can.

        How it conceals, and whether it says so, depends on all that it has seen: that is for a decode from the start.

        Raises:
            MediaError: it has no video that can be decoded, or may be; also what PyAV raises.
        """
        with ExitStack() as opening:
            self.container = opening.enter_context(open_container(source))
            self.stream = self._pick_stream()
            for stream in self.container.streams:
                if stream is not self.stream:
                    stream.discard = Discard.all
            self.limits = source.limits
            check_pixels(self.stream.width, self.stream.height, self.limits)
            self.decoder = self._pick_decoder()
            self.decoder.options = _bounded(self.limits) | ({"err_detect": "explode"} if strict else {})
            self.use_threads(1)
            self._opened = opening.pop_all()
        self.damaged = 0
        """Packets that the decoder has refused so far."""
        self._delay = 0
        """How much later than its dts the last keyframe's pts was."""

    def _pick_stream(self) -> VideoStream:
        track = shown_track(self.container)
        if track.codec_context is None:
            raise DecoderError("has video in a codec that this FFmpeg cannot decode; convert it to H.264")
        return track

    def _pick_decoder(self) -> VideoCodecContext:
        """FFmpeg's own, unless that would leave the transparency out."""
        given = self.stream.codec_context
        if alpha.is_left_out(self.stream):
            with suppress(av.FFmpegError, ValueError):  # an FFmpeg without it: told as a remark
                better = av.CodecContext.create(alpha.DECODERS[given.name], "r")
                better.extradata = given.extradata
                return cast("VideoCodecContext", better)
        return given

    @property
    def loses_transparency(self) -> bool:
        """Whether the file has transparency that no decoder here gives."""
        return self.decoder is self.stream.codec_context and alpha.is_left_out(self.stream)

    def use_threads(self, count: int) -> None:
        """Decode with `count` threads, a frame each; one that has decoded already keeps those it has."""
        if self.decoder.is_open:
            return
        self.decoder.thread_count = count
        self.decoder.thread_type = "FRAME" if count > 1 else "SLICE"

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seconds(self, units: int) -> float:
        """The seconds that a difference of two pts stands for, rounded once."""
        base = self.stream.time_base
        return units * base.numerator / base.denominator if base else 0.0

    def declared_duration(self) -> float | None:
        """The seconds of video that the file claims to hold, or None."""
        if self.stream.duration is not None:
            return self.seconds(self.stream.duration)
        with suppress(UsageError):  # Matroska writes the length of each track into a tag
            return parse_time(self.stream.metadata.get("DURATION", ""))
        return None if self.container.duration is None else self.container.duration / av.time_base

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The packets from the current position on; PyAV's own last one is empty and is left out."""
        while True:
            try:
                yield from (packet for packet in self.container.demux(self.stream) if packet.size)
            except BlockingIOError:  # FFmpeg has passed over another track's packet and wants to be asked again
                continue
            except IndexError:  # PyAV, after the last packet: a track has appeared on the way that it does not know
                return
            except av.FFmpegError:
                self.damaged += 1
            return

    def packets_from(self, table: FrameTable, place: int) -> Iterator[Packet[VideoStream]]:
        """The packets from exactly the given group's keyframe on.

        A seek may land early (skip what comes first) or late (seek further back). In MPEG-PS the pts after a seek may
        also be those of the frames next to them: where the table knows better, each is checked.

        Raises:
            SeekError: no seek leads there.
        """
        groups, group = table.groups, table.groups[place]
        earlier = [back.dts if back.pts is None else back.pts for back in reversed(groups[max(0, place - 2) : place])]
        # mov goes by a keyframe's pts, and back to the one before for its dts: an index tells only that.
        shown = group.pts if group.dts is None or group.pts is not None else group.dts + self._delay
        for target in dict.fromkeys((shown, group.dts, *earlier, START)):
            if target is None:
                continue
            with suppress(av.FFmpegError):
                self.container.seek(target, stream=self.stream)
            packets = self.packets()
            key = _read_up_to(group, packets)
            if key is None:
                continue
            if key.pts is not None and key.dts is not None:
                self._delay = key.pts - key.dts
            for number, packet in enumerate(chain((key,), packets), group.packet):
                if not table.expects(number, packet.pts):
                    raise SeekError("time stamps that are not the same after a seek")
                yield packet
            return
        raise SeekError("seeking misses a keyframe")

    def frames_of(self, table: FrameTable, place: int, indices: Collection[int]) -> Iterator[tuple[int, VideoFrame]]:
        """(index, frame) of each wanted frame of one group, in no set order.

        Raises:
            SeekError: one does not come out.
        """
        start, wanted = self.pts_of(table, place, indices)
        # In an open group the frames shown before the keyframe refer to the group before: they cannot be decoded from
        # here, and nothing from the keyframe on needs them.
        leading = {pts for pts in wanted if place and pts < start}
        refused = self.damaged
        # A decoder may miss, and take for damage, what came before the keyframe it starts with. What seems to be shown
        # before that is left out only then: where time stamps are wrong, others may need it.
        attempts = [(0, False), *((back, place > back) for back in range(min(BACK, place) + 1))]
        for back, cut in dict.fromkeys(attempts):
            todo = wanted.keys() if back else wanted.keys() - leading
            packets = self.packets_from(table, place - back)
            self.damaged = refused
            with suppress(DamageError):
                for pts, frame in self.decode(_without_leading(packets) if cut else packets, todo):
                    yield wanted.pop(pts), frame
            if not wanted:
                return
        raise SeekError("frames that do not come out of the decoder")

    def pts_of(self, table: FrameTable, place: int, indices: Collection[int]) -> tuple[int, dict[int, int]]:
        """The pts of a group's keyframe, and {pts: index} for its wanted frames. Decodes nothing.

        Raises:
            SeekError: the packets do not say.
        """
        group = table.groups[place]
        if table.pts is not None and group.pts is not None:
            return group.pts, {table.pts[index]: index for index in indices}
        highest = max(indices) - group.first
        pts: list[int] = []
        start = None
        for packet in islice(self.packets_from(table, place), table.size(place)):
            if packet.pts is None:
                raise SeekError("packets without a presentation stamp")
            start = packet.pts if start is None else start
            if not packet.is_discard:
                pts.append(packet.pts)
                if len(pts) > highest + REORDER:
                    break
        pts.sort()
        if start is None or len(set(pts)) < len(pts) or len(pts) <= highest:
            raise SeekError("missing or repeated presentation stamps")
        return start, {pts[index - group.first]: index for index in indices}

    def decode(self, packets: Iterable[Packet[VideoStream]], pts: Collection[int]) -> Iterator[tuple[int, VideoFrame]]:
        """(pts, frame) of each frame with one of these pts, decoding up to the last and only what they refer to.

        Raises:
            DamageError: a packet on the way is damaged.
        """
        wanted, waiting = set(pts), set(pts)
        if not waiting:
            return
        may_skip = self.decoder.name not in READ_SKIP_ONCE
        for packet in packets:
            if may_skip:
                needed = packet.pts in wanted or self._is_reference(packet)
                self.decoder.skip_frame = "DEFAULT" if needed else "NONREF"
            yield from self._take(packet, wanted)
            waiting.discard(packet.pts)
            if not waiting:
                break
        # What the decoder holds back; nothing more is decoded. The next seek makes it ready again.
        yield from self._take(None, wanted)

    def _is_reference(self, packet: Packet[VideoStream]) -> bool:
        """Whether the packet is known to be referred to. Where it is not, the decoder itself still looks."""
        if self.stream.codec_context.name != "h264":
            return False
        return h264.is_reference(bytes(packet), self._nal_length_size)

    @cached_property
    def _nal_length_size(self) -> int | None:
        return h264.nal_length_size(self.decoder.extradata)

    def _take(self, packet: Packet[VideoStream] | None, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Feed one packet; take what comes out and is wanted from `wanted`.

        How a decoder conceals damage depends on all it has seen: then only a decode from the start is exact.
        """
        for frame in self._decode_whole(packet):
            if frame.pts in wanted:
                wanted.remove(frame.pts)
                yield frame.pts, frame

    def decode_on(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        """Every frame of these packets, in the order of display; see `decode`."""
        self.damaged = 0
        if self.decoder.name not in READ_SKIP_ONCE:
            self.decoder.skip_frame = "DEFAULT"
        for packet in chain(packets, (None,)):
            yield from self._decode_whole(packet)

    def _decode_whole(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        frames = self._decode(packet)
        if self.damaged or any(frame.is_corrupt for frame in frames):
            raise DamageError("damaged packets")
        return frames

    def decode_all(self) -> Iterator[VideoFrame]:
        """Every frame from the start; packets that cannot be decoded are counted and passed over.

        Raises:
            MediaError: there are more than may be decoded, or they are encrypted.
        """
        walked = 0
        for packet in chain(self.packets(), (None,)):
            for frame in self._decode(packet):
                walked += 1
                check_walk(walked, self.limits)
                yield frame

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None and packet.has_sidedata("encryption_info"):
            raise MediaError("is encrypted; only a copy without protection can be read")
        try:
            return self.decoder.decode(packet)
        except (av.FFmpegError, EOFError):
            self.damaged += 1
            return []


@contextmanager
def open_container(source: Source) -> Iterator[av.container.InputContainer]:
    """What can only be a file of its own, whatever its name and its bytes pretend, opened.

    FFmpeg decodes a frame or a few. Without them it knows neither the shape of the pixels nor how far frames are out of
    order where only the video itself says so, and its decoder drops frames until it has seen.
    """
    options = OPTIONS | _bounded(source.limits)
    with (
        source.stream() as stream,
        av.open(stream, "r", options=options, metadata_errors="replace", buffer_size=BUFFER) as container,
    ):
        yield container


def _bounded(limits: Limits) -> dict[str, str]:
    return {"max_pixels": str(limits.max_pixels)}


def shown_track(container: av.container.InputContainer) -> VideoStream:
    """The video track that players show; the picture on an album's cover is none.

    Raises:
        MediaError: there is none.
    """
    tracks = [track for track in container.streams.video if not _is_cover(track)]
    if not tracks:
        raise MediaError("has no video stream; name a video or an image")
    best = container.streams.best("video")
    return next((track for track in tracks if track is best), tracks[0])


def _read_up_to(group: Group, packets: Iterable[Packet[VideoStream]]) -> Packet[VideoStream] | None:
    """The group's keyframe, once read up to; None where the seek led past it."""
    for packet in packets:
        here, there = (packet.dts, group.dts) if group.pts is None else (packet.pts, group.pts)
        if here == there and (group.pts is None or packet.is_keyframe):
            return packet
        if packet.is_keyframe and here is not None and there is not None and here > there:
            return None
    return None


def _without_leading(packets: Iterable[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    """Leave out what follows the keyframe and is shown before it: none of it stands further back in the group."""
    start, leading = None, True
    for packet in packets:
        start = packet.pts if start is None else start
        leading = leading and start is not None and packet.pts is not None and packet.pts <= start
        if not leading or packet.pts == start:
            yield packet


def _is_cover(track: VideoStream) -> bool:
    return bool(track.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))
