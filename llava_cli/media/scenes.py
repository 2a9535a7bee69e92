# SPDX-License-Identifier: Apache-2.0
"""Where a video's scenes begin: every frame is decoded and compared with the one before, by PySceneDetect.

Frames come from our own decoder, so that each cut has the very time that the rest of the program has for that frame,
whatever the file's frame rate does. Imported where scenes are looked for only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.video.reformatter import Interpolation, VideoReformatter
from scenedetect.common import FrameTimecode
from scenedetect.detectors.content_detector import ContentDetector

from llava_cli.machine import cores
from llava_cli.media.reader import Reader
from llava_cli.media.source import Source
from llava_cli.media.video import decoded_timeline

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

WIDTH = 256
"""Pixels; what is compared is an average over the picture, for which small ones do."""
_RATE = 1000.0
"""The detector counts frames; what it takes their rate for does not matter."""


def cuts(source: Source, threads: int | None = None) -> tuple[float, ...]:
    """The times at which scenes begin, but for the first: seconds from the start of the video, rising.

    Raises:
        MediaError: the video cannot be decoded, or has more frames than may be; also what PyAV raises.
    """
    detector, reformatter = ContentDetector(min_scene_len=0), VideoReformatter()
    found, stamps = set[int](), list[int | None]()
    with Reader(source) as reader:
        reader.use_threads(threads or cores())
        for index, frame in enumerate(reader.decode_all()):
            stamps.append(frame.pts)
            when = FrameTimecode(index, _RATE)
            found |= {cut.frame_num for cut in detector.process_frame(when, _small(frame, reformatter))}
        timeline = decoded_timeline(stamps, reader) if stamps else None
    return () if timeline is None else tuple(timeline.times[index] for index in sorted(found) if index)


def _small(frame: VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """uint8 [height, width, 3], BGR."""
    factor = min(1.0, WIDTH / frame.width)
    width, height = (max(2, round(side * factor)) for side in (frame.width, frame.height))
    small = reformatter.reformat(frame, width, height, "bgr24", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray()
