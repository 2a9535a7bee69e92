# SPDX-License-Identifier: Apache-2.0
"""A video that stays open while parts of it are shown, so that many of them cost about what one decode does.

What is found out about the file (where its frames are, that it has to be decoded from the start) is found out once,
and a reader that has shown one part goes on to the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from llava_cli.media.clip import Sampling
from llava_cli.media.errors import DecoderError
from llava_cli.media.forward import FAR, Forward
from llava_cli.media.reader import Reader
from llava_cli.media.sampling import Timeline
from llava_cli.media.source import Source
from llava_cli.media.table import FrameTable, from_index, from_packets
from llava_cli.words import counted

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Video:
    """A video file, its frame table and its open readers. Readers are lent to one thread each."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seekable = True
        """Whether nothing has been found yet that only a decode from the start gets right."""
        self.listed: int | None = None
        """How many frames the file was thought to have before that."""
        self.linear = Linear(source)
        self._idle: list[Reader] = []
        self._tables: dict[bool, FrameTable] = {}
        self._origin: int | None = None
        self._reached = 0
        self._forward: dict[Reader, Forward] = {}

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader that is kept for the next time, unless something goes wrong with it."""
        reader = self._idle.pop() if self._idle else Reader(self.source, strict=True)
        try:
            yield reader
        except BaseException:
            self._forward.pop(reader, None)
            reader.close()
            raise
        self._idle.append(reader)

    def table(self, sampling: Sampling) -> FrameTable:
        """The frame table that a sampling needs.

        Raises:
            SeekError: the file's time stamps make no table.
        """
        by_time = sampling.policy == "fps" or sampling.is_part
        if by_time not in self._tables:
            with self.reader() as reader:
                self._tables[by_time] = frame_table(reader, by_time)
        return self._tables[by_time]

    def go_to(self, indices: Sequence[int]) -> None:
        """Make ready for these frames, rising: a decoder keeps headers, and must know none of later frames."""
        if indices[0] < self._reached:
            self._close_readers()
        self._reached = indices[-1]

    def origin(self, reader: Reader, table: FrameTable) -> int:
        """The pts of the frame that is shown first."""
        if self._origin is None:
            [self._origin] = reader.pts_of(table, table.group_of(0), [0])[1]
        return self._origin

    def frames_of(
        self, reader: Reader, table: FrameTable, place: int, indices: Collection[int]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """(index, frame) of each wanted frame of one group, at the least cost; see `Reader.frames_of`."""
        if Forward.is_for(table, place):
            return self._forward.setdefault(reader, Forward(reader)).frames_of(table, place, indices)
        self._forward.pop(reader, None)
        return reader.frames_of(table, place, indices)

    def close(self) -> None:
        """Close all readers; nobody may use one."""
        self._close_readers()
        self.linear.close()

    def _close_readers(self) -> None:
        self._forward.clear()
        while self._idle:
            self._idle.pop().close()


class Linear:
    """A video decoded from the start, for files in which nothing else is exact. It goes on where it stands.

    One thread: with more, what FFmpeg makes of damaged packets differs from run to run.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._timeline: Timeline | None = None
        self._reader: Reader | None = None
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next = 0
        self.damaged = 0
        """Packets that could not be decoded, once all have been tried."""

    @property
    def reader(self) -> Reader:
        """The one that frames have come from last."""
        if self._reader is None:
            raise ValueError("no frame has been taken")
        return self._reader

    def timeline(self) -> Timeline:
        """When each frame that can be decoded is shown.

        Raises:
            DecoderError: there are none.
        """
        if self._timeline is None:
            with Reader(self._source) as reader:
                pts = [frame.pts for frame in reader.decode_all()]
                if not pts:
                    known = reader.stream.frames
                    listed = counted(known, "frame") if known else "an unknown number of frames"
                    raise DecoderError(f"lists {listed}, none of which can be decoded; it is damaged or encrypted")
                self._timeline = decoded_timeline(pts, reader)
                self.damaged = reader.damaged
        return self._timeline

    def frames(self, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """(index, frame) of each wanted frame that comes, rising."""
        if self._reader is None or min(wanted) < self._next:
            self.close()
            self._reader, self._next = Reader(self._source), 0
            self._frames = enumerate(self._reader.decode_all())
        last = max(wanted)
        while self._next <= last:
            index, frame = next(self._frames, (last, None))
            self._next = index + 1
            if frame is not None and index in wanted:
                yield index, frame

    def close(self) -> None:
        if self._reader is not None:
            self._frames = iter(())
            self._reader.close()
            self._reader = None


def frame_table(reader: Reader, by_time: bool = False) -> FrameTable:
    """The frame table at the least cost: from the index, unless times matter that only the packets carry."""
    table = from_index(reader.stream)
    if table is None or (by_time and (table.jittery or table.longest > FAR)):
        table = from_packets(reader.stream, reader.packets())
    return table


def decoded_timeline(pts: list[int | None], reader: Reader) -> Timeline:
    """When each decoded frame is shown; at the rate the file claims where its pts make no sense."""
    known = [units for units in pts if units is not None]
    if len(known) == len(pts) and all(here < there for here, there in pairwise(known)):
        return Timeline([reader.seconds(units - known[0]) for units in known], reader.seconds(1))
    rate = float(reader.stream.average_rate or reader.stream.guessed_rate or 25)
    return Timeline([i / rate for i in range(len(pts))])
