# SPDX-License-Identifier: Apache-2.0
"""The second decoder, for what PyAV cannot open or decode. It is never used silently.

OpenCV's frame counts and seeks cannot be relied on (30 frames are announced as 1136), so the frames are counted by
decoding them, and taken by decoding them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np

from llava_cli.media.clip import Clip, MediaInfo, View
from llava_cli.media.errors import DecoderError
from llava_cli.media.geometry import UPRIGHT, Orientation, bring_into_view, display_size
from llava_cli.media.limits import Limits
from llava_cli.media.sampling import Timeline, choose
from llava_cli.media.source import FORMATS, Source, check_pixels, check_walk


def read_clip(source: Source, view: View) -> Clip:
    """The sampled frames of a video, with `decoder` "opencv".

    Raises:
        DecoderError: there are none.
        MediaError: they may not be decoded.
    """
    _check_track(source)
    with _capture(source) as capture:
        timeline = _timeline(capture, source.limits)
        indices, notes = choose(timeline, view.sampling)
    with _capture(source) as capture:
        codec, orientation = _codec(capture), _orientation(capture)
        shown = dict(_take(capture, set(indices), view, orientation, _sample_aspect_ratio(capture)))
    indices = [index for index in indices if index in shown]
    if not indices:
        raise DecoderError("gives OpenCV frames on one reading and none on the next; it is damaged")
    width, height = shown[indices[0]][1]
    info = MediaInfo(
        path=source.name,
        kind="video",
        width=width,
        height=height,
        codec=codec,
        decoder="opencv",
        rotation=orientation.degrees,
        duration=round(timeline.duration, 6),
        warnings=tuple(notes),
    )
    frames = np.stack([shown[index][0] for index in indices])
    times = tuple(timeline.times[i] for i in indices)
    return Clip(frames, tuple(indices), times, info, view.sampling, positions=view.positions, fit=view.fit)


def _check_track(source: Source) -> None:
    """Refuse what players show another track of than the first, which is the one that OpenCV reads."""
    try:
        import av

        from llava_cli.media.reader import open_container, shown_track
    except ImportError:  # nobody can tell
        return
    with suppress(av.FFmpegError), open_container(source) as container:
        if shown_track(container) is not container.streams.video[0]:
            raise DecoderError("has several video tracks, and OpenCV would show another one than players do")


@contextmanager
def _capture(source: Source) -> Iterator[cv2.VideoCapture]:
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # quiet: what goes wrong is said once, by us
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    with source.descriptor() as descriptor:
        os.lseek(descriptor, 0, os.SEEK_SET)
        # The only way to tell OpenCV's FFmpeg what to open, and which formats it may take it for. It is given no name,
        # which might be taken for a protocol or a pattern, and no file object, with which OpenCV 5.0 crashes.
        options = {"fd": descriptor, "protocol_whitelist": "fd", "format_whitelist": FORMATS}
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(f"{name};{value}" for name, value in options.items())
        capture = cv2.VideoCapture("fd:", cv2.CAP_FFMPEG)
        try:
            if not capture.isOpened():
                raise DecoderError("is no video or image that can be read")
            width, height = (capture.get(size) for size in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            check_pixels(int(width), int(height), source.limits)
            yield capture
        finally:
            capture.release()


def _timeline(capture: cv2.VideoCapture, limits: Limits) -> Timeline:
    """When each frame is shown; at the rate the file claims where the times make no sense."""
    times = []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        check_walk(len(times), limits)
    if not times:
        raise DecoderError("opens, but no frame can be decoded; it is damaged or encrypted")
    times = [time - times[0] for time in times]
    if all(here < there for here, there in pairwise(times)):
        return Timeline(times, tick=0.001)
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate < 1000 else 25.0
    return Timeline([i / rate for i in range(len(times))])


def _take(
    capture: cv2.VideoCapture, wanted: set[int], view: View, orientation: Orientation, aspect_ratio: Fraction | None
) -> Iterator[tuple[int, tuple[np.ndarray, tuple[int, int]]]]:
    """(index, (pixels in view, (width, height) as shown)) of each wanted frame. OpenCV turns frames upright itself."""
    for index in range(max(wanted) + 1):
        if not capture.grab():
            return
        if index not in wanted:
            continue
        decoded, pixels = capture.retrieve()
        if not decoded:
            continue
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        stored = orientation.swap(pixels.shape[1], pixels.shape[0])
        width, height = orientation.swap(*display_size(*stored, aspect_ratio))
        if (width, height) != (pixels.shape[1], pixels.shape[0]):
            pixels = bring_into_view(pixels, View((height, width), "squash", view.sampling))
        yield index, (bring_into_view(pixels, view), (width, height))


def _orientation(capture: cv2.VideoCapture) -> Orientation:
    """How OpenCV turns the frames; it leaves mirroring out."""
    degrees = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    return Orientation(degrees // 90) if degrees % 90 == 0 else UPRIGHT


def _sample_aspect_ratio(capture: cv2.VideoCapture) -> Fraction | None:
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    return Fraction(int(across), int(down)) if across > 0 and down > 0 else None


def _codec(capture: cv2.VideoCapture) -> str | None:
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = bytes((fourcc >> shift) & 0xFF for shift in (0, 8, 16, 24)).decode("ascii", "replace").strip("\0 ")
    return letters.lower() or None
