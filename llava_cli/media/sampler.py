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
from itertools import pairwise
from threading import Event, Lock

import numpy as np
from av.video.reformatter import ColorTrc

from llava_cli.machine import cores
from llava_cli.media.clip import Clip, MediaInfo, Sampling, View
from llava_cli.media.errors import DecoderError, SeekError
from llava_cli.media.geometry import bring_into_view
from llava_cli.media.reader import Reader
from llava_cli.media.sampling import Timeline, choose, clock
from llava_cli.media.scaler import SUPPORTED, FrameScaler, ScaledFrame
from llava_cli.media.source import Source
from llava_cli.media.table import FrameTable, from_index, from_packets
from llava_cli.words import counted

WHOLE = 0.75
"""Share of the declared duration below which a video counts as cut short. Sound may well last longer than pictures."""

HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}


def read_clip(source: Source, view: View, threads: int | None = None) -> Clip:
    """The sampled frames of a video.

    Raises:
        MediaError: there are none, or they may not be decoded; also what PyAV raises on damaged files.
    """
    table = None
    with Reader(source, strict=True) as reader:
        try:
            table = frame_table(reader, view.sampling)
            if not table.whole:
                raise SeekError("an index of more than the file holds")
            indices, notes = choose(table.timeline, view.sampling)
            frames = _take_groups(source, reader, table, indices, view, threads or cores())
        except SeekError:
            pass
        else:
            return _clip(source, view, reader, table.timeline, frames, notes)
    return _read_linear(source, view, table)


def frame_table(reader: Reader, sampling: Sampling) -> FrameTable:
    """The frame table at the least cost: from the index, unless times matter that only the packets carry."""
    table = from_index(reader.stream)
    by_time = sampling.policy == "fps" or sampling.start is not None or sampling.end is not None
    if table is None or (table.jittery and by_time):
        table = from_packets(reader.stream, reader.packets())
    return table


def _take_groups(
    source: Source, first: Reader, table: FrameTable, indices: Sequence[int], view: View, threads: int
) -> list[ScaledFrame]:
    """Decode the wanted frames in the order of the file: a decoder keeps headers, and must know no later ones."""
    [origin] = first.pts_of(table, table.group_of(0), [0])[1]
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
                for index, frame in reader.frames_of(table, *job):
                    time = reader.seconds((frame.pts or 0) - origin)
                    if not table.timeline.fits(index, time):
                        raise SeekError("frames that are not shown when the index says")
                    scaled.append(scale(index, time, frame))
        except BaseException:
            stop.set()
            raise
        return scaled

    def work_alone() -> list[ScaledFrame]:
        with Reader(source, strict=True) as reader:
            return work(reader)

    with ThreadPoolExecutor(max(1, workers - 1)) as pool:
        others = [pool.submit(work_alone) for _ in range(workers - 1)]
        frames = work(first)
        for other in others:
            frames += other.result()
    return sorted(frames, key=lambda frame: frame.index)


def _read_linear(source: Source, view: View, table: FrameTable | None) -> Clip:
    """Decode everything from the start.

    One thread: with more, what FFmpeg makes of damaged packets differs from run to run.
    """
    with Reader(source) as reader:
        pts = [frame.pts for frame in reader.decode_all()]
        if not pts:
            listed = counted(reader.stream.frames, "frame") if reader.stream.frames else "an unknown number of frames"
            raise DecoderError(f"lists {listed}, none of which can be decoded; it is damaged or encrypted")
        timeline = _decoded_timeline(pts, reader)
        damaged = reader.damaged
    indices, notes = choose(timeline, view.sampling)
    if damaged:
        notes.append(f"damaged: {damaged} {'packet' if damaged == 1 else 'packets'} could not be decoded")
    if table is not None and len(pts) < table.total:
        notes.append(f"damaged or cut short: the file lists {counted(table.total, 'frame')}, {len(pts)} can be decoded")
    with Reader(source) as reader:
        frames = list(_take_linear(reader, set(indices), timeline, view))
        if not frames:
            raise DecoderError("gave frames on one reading and none on the next; it is damaged")
        return _clip(source, view, reader, timeline, frames, notes)


def _take_linear(reader: Reader, wanted: set[int], timeline: Timeline, view: View) -> Iterator[ScaledFrame]:
    scale = FrameScaler(view, reader.stream.sample_aspect_ratio)
    last = max(wanted)
    for index, frame in enumerate(reader.decode_all()):
        if index in wanted:
            yield scale(index, timeline.times[index], frame)
        if index == last:
            return


def _decoded_timeline(pts: Sequence[int | None], reader: Reader) -> Timeline:
    """When each decoded frame is shown; at the rate the file claims where its pts make no sense."""
    known = [units for units in pts if units is not None]
    if len(known) == len(pts) and all(here < there for here, there in pairwise(known)):
        return Timeline([reader.seconds(units - known[0]) for units in known], reader.seconds(1))
    rate = float(reader.stream.average_rate or reader.stream.guessed_rate or 25)
    return Timeline([i / rate for i in range(len(pts))])


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
