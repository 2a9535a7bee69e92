# SPDX-License-Identifier: Apache-2.0
"""On from where a decoder stands: for parts of a video that has minutes between its keyframes.

Usually a part is decoded from the keyframe before it. Where that is far, parts that follow each other would decode the
same frames again and again; here each is decoded once, as long as what is wanted lies ahead.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from llava_cli.media.errors import SeekError
from llava_cli.media.reader import Reader
from llava_cli.media.table import FrameTable

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

FAR = 600
"""Packets between keyframes from which on it is worth it; encoders' defaults are at most 250."""


class Forward:
    """A position in a video, of a reader that nobody else uses as long as this one is used."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._place: int | None = None
        self._last = -math.inf
        self._frames: Iterator[VideoFrame] = iter(())

    @staticmethod
    def is_for(table: FrameTable, place: int) -> bool:
        """Whether a group of pictures is so long that going on in it is worth it."""
        return table.pts is not None and table.size(place) > FAR

    def frames_of(self, table: FrameTable, place: int, indices: Collection[int]) -> Iterator[tuple[int, VideoFrame]]:
        """(index, frame) of each wanted frame of one group, rising: as `Reader.frames_of`.

        Raises:
            SeekError: one does not come out, or a packet on the way is damaged.
        """
        start, wanted = self._reader.pts_of(table, place, indices)
        if place and min(wanted) < start:  # shown before the keyframe, and so decoded from the one before it
            self._place = None
            yield from self._reader.frames_of(table, place, indices)
            return
        if place != self._place or min(wanted) <= self._last:
            self._place, self._last = place, -math.inf
            self._frames = self._reader.decode_on(self._reader.packets_from(table, place))
        for frame in self._frames:
            self._last = frame.pts if frame.pts is not None else self._last
            if frame.pts in wanted:
                yield wanted.pop(frame.pts), frame
            if not wanted:
                return
        raise SeekError("frames that do not come out of the decoder")
