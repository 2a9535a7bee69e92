# SPDX-License-Identifier: Apache-2.0
"""The sampler: exactly the frames that decoding everything would give, at a cost that the video's length leaves alone.

1. Find all frames without decoding any (table.py), and choose (sampling.py).
2. Group the chosen ones by the keyframe they depend on; one thread and one open file per core takes groups in turn.
3. Seek to the keyframe, check where that led, decode only what the wanted frames refer to (reader.py).
4. Scale each at once to the wanted size (scaler.py): only the small frames are ever held.

Where a file's time stamps or seeks do not hold what this relies on, where it is shorter than its index says, or a
packet on the way is damaged, all of it is decoded from the start, twice: once to count, once to take. The frames are
those of a decode from the start either way. Damage that no wanted frame depends on is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event, Lock

import numpy as np
from av.video.reformatter import ColorTrc

from llava_cli.machine import cores
from llava_cli.media.clip import Clip, MediaInfo, View
from llava_cli.media.errors import DecoderError, SeekError
from llava_cli.media.geometry import bring_into_view
from llava_cli.media.reader import Reader
from llava_cli.media.sampling import Timeline, choose, clock
from llava_cli.media.scaler import SUPPORTED, FrameScaler, ScaledFrame
from llava_cli.media.source import Source
from llava_cli.media.table import FrameTable
from llava_cli.media.video import Linear, Video
from llava_cli.words import counted

WHOLE = 0.75
"""Share of the declared duration below which a video counts as cut short. Sound may well last longer than pictures."""

HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}


def read_clip(source: Source, view: View, threads: int | None = None) -> Clip:
    """The sampled frames of a video.

    Raises:
        MediaError: there are none, or they may not be decoded; also what PyAV raises on damaged files.
    """
    with closing(Video(source)) as video:
        return read_part(video, view, threads)


def read_part(video: Video, view: View, threads: int | None = None) -> Clip:
    """The sampled frames of a video of which other parts may be wanted too; see `read_clip`."""
    table = None
    if video.seekable:
        try:
            table = video.table(view.sampling)
            if not table.whole:
                raise SeekError("an index of more than the file holds")
            indices, notes = choose(table.timeline, view.sampling)
            video.go_to(indices)
            with video.reader() as reader:
                frames = _take_groups(video, reader, table, indices, view, threads or cores())
                return _clip(video.source, view, reader, table.timeline, frames, notes)
        except SeekError:
            video.listed = None if table is None else table.total
            video.seekable = False
    return _read_linear(video, view)


def _take_groups(
    video: Video, first: Reader, table: FrameTable, indices: Sequence[int], view: View, threads: int
) -> list[ScaledFrame]:
    """Decode the wanted frames in the order of the file: a decoder keeps headers, and must know no later ones."""
    origin = video.origin(first, table)
    groups: dict[int, list[int]] = {}
    for index in indices:
        groups.setdefault(table.group_of(index), []).append(index)
    todo = iter(groups.items())
    workers = min(threads, len(groups))
    first.use_threads(threads // workers)
    stop, lock = Event(), Lock()

    def work(reader: Reader) -> list[ScaledFrame]:
        scale = FrameScaler(view, reader.stream.sample_aspect_ratio)
        scaled = []
        try:
            while not stop.is_set():
                with lock:
                    job = next(todo, None)
                if job is None:
                    break
                for index, frame in video.frames_of(reader, table, *job):
                    time = reader.seconds((frame.pts or 0) - origin)
                    if not table.timeline.fits(index, time):
                        raise SeekError("frames that are not shown when the index says")
                    scaled.append(scale(index, time, frame))
        except BaseException:
            stop.set()
            raise
        return scaled

    def work_alone() -> list[ScaledFrame]:
        with video.reader() as reader:
            return work(reader)

    with ThreadPoolExecutor(max(1, workers - 1)) as pool:
        others = [pool.submit(work_alone) for _ in range(workers - 1)]
        frames = work(first)
        for other in others:
            frames += other.result()
    return sorted(frames, key=lambda frame: frame.index)


def _read_linear(video: Video, view: View) -> Clip:
    """Decode everything from the start."""
    linear = video.linear
    timeline = linear.timeline()
    indices, notes = choose(timeline, view.sampling)
    if linear.damaged:
        what = "packet" if linear.damaged == 1 else "packets"
        notes.append(f"damaged: {linear.damaged} {what} could not be decoded")
    if video.listed is not None and timeline.total < video.listed:
        notes.append(
            f"damaged or cut short: the file lists {counted(video.listed, 'frame')}, {timeline.total} can be decoded"
        )
    frames = list(_take_linear(linear, set(indices), timeline, view))
    if not frames:
        raise DecoderError("gave frames on one reading and none on the next; it is damaged")
    return _clip(video.source, view, linear.reader, timeline, frames, notes)


def _take_linear(linear: Linear, wanted: set[int], timeline: Timeline, view: View) -> Iterator[ScaledFrame]:
    frames = linear.frames(wanted)
    scale: FrameScaler | None = None
    for index, frame in frames:
        scale = scale or FrameScaler(view, linear.reader.stream.sample_aspect_ratio)
        yield scale(index, timeline.times[index], frame)


def _clip(
    source: Source, view: View, reader: Reader, timeline: Timeline, frames: Sequence[ScaledFrame], notes: Sequence[str]
) -> Clip:
    first = frames[0]
    same = View(first.pixels.shape[:2], "squash", view.sampling)  # where the picture's size changes within the video
    info = MediaInfo(
        path=source.name,
        kind="video",
        width=first.size[0],
        height=first.size[1],
        codec=reader.stream.codec_context.codec.canonical_name,
        decoder="pyav",
        rotation=first.orientation.degrees,
        mirrored=first.orientation.mirrored,
        duration=round(timeline.duration, 6),
        warnings=(*notes, *_remarks(reader, timeline, frames)),
    )
    return Clip(
        frames=np.stack([bring_into_view(frame.pixels, same) for frame in frames]),
        indices=tuple(frame.index for frame in frames),
        times=tuple(frame.time for frame in frames),
        info=info,
        sampling=view.sampling,
        pixels=view.pixels,
        positions=view.positions,
        fit=view.fit,
    )


def _remarks(reader: Reader, timeline: Timeline, frames: Sequence[ScaledFrame]) -> Iterator[str]:
    """What the user should know of the file."""
    concealed = [frame.index for frame in frames if frame.concealed]
    if concealed:
        yield f"damaged: the decoder had to make up parts of frames {', '.join(map(str, concealed))}"
    declared = reader.declared_duration()
    if declared is not None and timeline.duration < WHOLE * declared:
        yield f"the file declares {clock(declared)}, its video ends at {clock(timeline.duration)}: it may be cut short"
    if reader.loses_transparency:
        yield "has transparency that this FFmpeg cannot decode: it is shown without"
    matrix = frames[0].matrix
    if matrix not in SUPPORTED:
        yield f"how its colours are to be read is not known (matrix {matrix}): they are read as usual"
    transfer = frames[0].transfer
    if transfer in HDR:
        yield f"HDR ({HDR[transfer]}): colours are shown without tone mapping and look flat"
