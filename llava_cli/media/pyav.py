# SPDX-License-Identifier: Apache-2.0
"""The sampler: exactly the frames that decoding everything would give, at a cost that the video's length leaves alone.

1. Find all frames without decoding any (table.py), and choose (sampling.py).
2. Group the chosen ones by the keyframe they depend on; one thread and one open file per core takes groups in turn.
3. Seek to the keyframe, check where that led, decode only what the wanted frames refer to (reader.py).
4. Scale each inside FFmpeg's scaler straight to the wanted size: no more than the small frames is ever held.

Where a file's stamps or seeks do not hold what this relies on, all of it is decoded from the start, twice: once to
count, once to take. The frames are exact either way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from threading import Event, Lock

import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, Interpolation, VideoReformatter

from llava_cli.media.clip import Clip, MediaInfo, Sampling, View
from llava_cli.media.geometry import UPRIGHT, Orientation, bring_into_view, fitting, from_display_matrix, shown_shape
from llava_cli.media.reader import Reader
from llava_cli.media.sampling import Timeline, choose, clock
from llava_cli.media.source import DecoderError, Source
from llava_cli.media.table import FrameTable, SeekError, from_index, from_packets

# Without the accurate flags swscale's pictures come out a level too dark; with them they cost the same.
SCALER = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
WHOLE = 0.75
"""Share of the declared duration below which a video counts as cut short. Sound may well last longer than pictures."""
HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}


@dataclass(frozen=True)
class Shot:
    """One wanted frame, reduced to the view."""

    index: int
    stamp: int | None
    pixels: np.ndarray
    """uint8 [height, width, 3], RGB, upright."""
    size: tuple[int, int]
    """(width, height) of the whole picture as shown."""
    orientation: Orientation
    transfer: int
    corrupt: bool


class Shrinker:
    """Turns decoded frames into shots. Keeps its scaler's tables from frame to frame; belongs to one thread."""

    def __init__(self, view: View, pixel_shape: Fraction | None) -> None:
        self.view = view
        self.pixel_shape = pixel_shape
        self.scaler = VideoReformatter()

    def __call__(self, index: int, frame: VideoFrame) -> Shot:
        orientation = orientation_of(frame)
        size = orientation.swap(*shown_shape(frame.width, frame.height, self.pixel_shape))
        plan = fitting(*size, self.view)
        width, height = orientation.swap(plan.width, plan.height)
        if self.view.fit == "full" and (width, height) == (frame.width, frame.height):
            pixels = frame.to_ndarray(format="rgb24")  # with its defaults, as the published recipes call it
        else:
            scaled = self.scaler.reformat(frame, width, height, "rgb24", interpolation=SCALER, threads=1)
            pixels = scaled.to_ndarray()
        pixels = np.ascontiguousarray(plan.cut(orientation.apply(pixels)))
        return Shot(index, frame.pts, pixels, size, orientation, frame.color_trc, frame.is_corrupt)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how to turn a decoded frame upright: PyAV never does, phones rely on it."""
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    return UPRIGHT if matrix is None else from_display_matrix(bytes(matrix))


def read_clip(source: Source, view: View, threads: int | None = None) -> Clip:
    """Return the sampled frames of a video.

    Raises MediaError, DecoderError, MediaError, or what PyAV raises on damaged files: see `load_media`.
    """
    table = None
    with Reader(source) as reader:
        try:
            table = frame_table(reader, view.sampling)
            indices, notes = choose(table.timeline, view.sampling)
            taken = _take_groups(source, reader, table, indices, view, threads or len(os.sched_getaffinity(0)))
        except SeekError:
            pass
        else:
            times = [reader.seconds((shot.stamp or 0) - taken.origin) for shot in taken.shots]
            return _clip(source, view, reader, table.timeline, taken, times, notes)
    return _read_linear(source, view, table)


def frame_table(reader: Reader, sampling: Sampling) -> FrameTable:
    """Return the frame table at the least cost: from the index, unless times matter that only the packets carry."""
    table = from_index(reader.stream)
    by_time = sampling.policy == "fps" or sampling.start is not None or sampling.end is not None
    if table is None or (table.jittery and by_time):
        table = from_packets(reader.stream, reader.packets())
    return table


@dataclass
class Taken:
    """What decoding brought."""

    shots: list[Shot]
    origin: int
    """Stamp of the video's first frame."""
    damaged: int = 0
    """Packets that could not be decoded on the way."""


def _take_groups(
    source: Source, first: Reader, table: FrameTable, indices: Sequence[int], view: View, threads: int
) -> Taken:
    """Decode the wanted frames, the longest chains first so that the threads end together."""
    origin = next(iter(first.stamps_of(table, table.group_of(0), [0])[1]))
    wanted: dict[int, list[int]] = {}
    for index in indices:
        wanted.setdefault(table.group_of(index), []).append(index)
    todo = iter(sorted(wanted.items(), key=lambda job: table.groups[job[0]].first - job[1][-1]))
    workers = min(threads, len(wanted))
    first.use_threads(threads // workers)
    stop, lock, taken = Event(), Lock(), Taken([], origin)

    def work(reader: Reader) -> None:
        shrink = Shrinker(view, reader.stream.sample_aspect_ratio)
        try:
            while not stop.is_set():
                with lock:
                    place, places = next(todo, (None, []))
                if place is None:
                    break
                shots = [shrink(index, frame) for index, frame in reader.frames_of(table, place, places)]
                with lock:
                    taken.shots += shots
        except BaseException:
            stop.set()
            raise
        finally:
            with lock:
                taken.damaged += reader.damaged

    def work_alone() -> None:
        with Reader(source) as reader:
            work(reader)

    with ThreadPoolExecutor(max(1, workers - 1)) as pool:
        others = [pool.submit(work_alone) for _ in range(workers - 1)]
        work(first)
        for other in others:
            other.result()
    taken.shots.sort(key=lambda shot: shot.index)
    return taken


def _read_linear(source: Source, view: View, table: FrameTable | None) -> Clip:
    """Decode everything from the start.

    One thread: with more, what FFmpeg makes of damaged packets differs from run to run.
    """
    with Reader(source) as reader:
        stamps = [frame.pts for frame in reader.decode_all()]
        if not stamps:
            listed = reader.stream.frames or "an unknown number of"
            raise DecoderError(f"lists {listed} frames, none of which can be decoded; it is damaged or encrypted")
        timeline = _decoded_timeline(stamps, reader)
        damaged = reader.damaged
    indices, notes = choose(timeline, view.sampling)
    if table is not None and len(stamps) < table.total:
        notes.append(f"damaged or cut short: the file lists {table.total} frames, {len(stamps)} can be decoded")
    with Reader(source) as reader:
        taken = Taken(list(_take_linear(reader, set(indices), view)), 0, damaged)
        times = [timeline.times[shot.index] for shot in taken.shots]
        return _clip(source, view, reader, timeline, taken, times, notes)


def _take_linear(reader: Reader, wanted: set[int], view: View) -> Iterator[Shot]:
    shrink = Shrinker(view, reader.stream.sample_aspect_ratio)
    last = max(wanted)
    for index, frame in enumerate(reader.decode_all()):
        if index in wanted:
            yield shrink(index, frame)
        if index == last:
            return


def _decoded_timeline(stamps: Sequence[int | None], reader: Reader) -> Timeline:
    """Return when each decoded frame is shown; at the rate the file claims where its stamps make no sense."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and all(here < there for here, there in pairwise(known)):
        return Timeline([reader.seconds(stamp - known[0]) for stamp in known], reader.seconds(1))
    rate = float(reader.stream.average_rate or reader.stream.guessed_rate or 25)
    return Timeline([i / rate for i in range(len(stamps))])


def _clip(
    source: Source,
    view: View,
    reader: Reader,
    timeline: Timeline,
    taken: Taken,
    times: Sequence[float],
    notes: Sequence[str],
) -> Clip:
    shots = taken.shots
    if not shots:
        raise DecoderError("gave frames on one reading and none on the next; it is damaged")
    shape = shots[0].pixels.shape
    same = View(shape[:2], "squash", view.sampling)  # where the picture's size changes within the video
    frames = np.stack([s.pixels if s.pixels.shape == shape else bring_into_view(s.pixels, same) for s in shots])
    info = MediaInfo(
        path=source.name,
        kind="video",
        width=shots[0].size[0],
        height=shots[0].size[1],
        codec=reader.stream.codec_context.codec.canonical_name,
        decoder="pyav",
        rotation=shots[0].orientation.degrees,
        mirrored=shots[0].orientation.mirrored,
        duration=round(timeline.duration, 6),
        warnings=(*notes, *_damage(reader, timeline, taken), *_colour(shots[0])),
    )
    return Clip(frames, tuple(shot.index for shot in shots), tuple(times), info, view.sampling)


def _damage(reader: Reader, timeline: Timeline, taken: Taken) -> Iterator[str]:
    """Yield what is known to be wrong with the file. What lies outside the decoded chains is not looked at."""
    if taken.damaged:
        yield f"damaged: {taken.damaged} {'packet' if taken.damaged == 1 else 'packets'} could not be decoded"
    corrupt = [shot.index for shot in taken.shots if shot.corrupt]
    if corrupt:
        yield f"damaged: the decoder had to mend frames {', '.join(map(str, corrupt))}"
    declared = reader.declared_duration()
    if declared is not None and timeline.duration < WHOLE * declared:
        yield f"the file declares {clock(declared)}, its video ends at {clock(timeline.duration)}: it may be cut short"


def _colour(shot: Shot) -> Iterator[str]:
    if shot.transfer in HDR:
        yield f"HDR ({HDR[ColorTrc(shot.transfer)]}): colours are shown without tone mapping and look flat"
