# SPDX-License-Identifier: Apache-2.0
"""Videos of many kinds to read, made on the spot: a picture that is panned, so that no two frames are alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

RATE = 25
HEIGHT, SECONDS = 720, 10.0
"""Of the videos, where nothing else is said: what people have, and still made in half a minute."""
_TICK = Fraction(1, 1000)
_PAN = (7, 3)
"""Pixels that the picture moves from frame to frame, at 720 rows."""


@dataclass(frozen=True)
class Kind:
    """How one video is made."""

    name: str
    """A file's name; the suffix chooses the container."""
    about: str
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    scale: int = 1
    """Times the usual height."""
    part: float = 1.0
    """Of the usual duration."""
    rotation: int = 0
    """Degrees counter-clockwise in the display matrix."""
    varying: bool = False
    """Whether frames are shown for different times."""
    copies: int = 1
    """How often the coded video is repeated."""


def _x264(gop: int, **more: str) -> dict[str, str]:
    return {"preset": "veryfast", "g": str(gop), "bf": "3", "crf": "23", **more}


KINDS = (
    Kind("h264-gop30.mp4", "H.264, a keyframe every 30 frames", options=_x264(30)),
    Kind("h264-gop250.mp4", "H.264, a keyframe every 250", options=_x264(250)),
    Kind("h264-long.mp4", "the same, 12 times as long", options=_x264(250), copies=12),
    Kind("h264-open-gop.mp4", "H.264, open GOP, B-frames", options=_x264(25, **{"x264-params": "open-gop=1"})),
    Kind("hevc.mp4", "HEVC", "libx265", {"preset": "ultrafast", "x265-params": "keyint=100:bframes=3:log-level=none"}),
    Kind("vp9.webm", "VP9", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "100", "b": "2M"}),
    Kind("av1.mp4", "AV1", "libsvtav1", {"preset": "10", "g": "100"}),
    Kind("h264.ts", "H.264 in MPEG-TS", options=_x264(50)),
    Kind("h264-varying.mkv", "H.264 in Matroska, rate varies", options=_x264(50), varying=True),
    Kind("h264-rotated.mov", "H.264 in QuickTime, rotated", options=_x264(50), rotation=90),
    Kind("h264-2160.mp4", "H.264, three times the height", options=_x264(50), scale=3, part=0.3),
)  # fmt: skip


def render_all(folder: Path, height: int, seconds: float) -> tuple[list[Path], list[str]]:
    """Make every kind whose encoder is there, in a folder; the files, and the encoders that are missing.

    Args:
        height: rows of a picture, usually.
        seconds: how long a video lasts, usually.
    """
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells of itself otherwise
    there = [kind for kind in KINDS if kind.codec in av.codecs_available]
    missing = sorted({kind.codec for kind in KINDS} - {kind.codec for kind in there})
    return [render(kind, folder, height, seconds) for kind in there], missing


def render(kind: Kind, folder: Path, height: int, seconds: float) -> Path:
    """Make one video; see `render_all`."""
    path = folder / kind.name
    if kind.copies > 1:
        once = render(replace(kind, name=f"once-{kind.name}", copies=1), folder, height, seconds)
        _repeat(once, path, kind.copies)
        once.unlink()
        return path
    rows = height * kind.scale // 2 * 2
    frames = max(2, round(seconds * kind.part * RATE))
    with av.open(str(path), "w") as output:
        stream = cast(VideoStream, output.add_stream(kind.codec, rate=RATE, options=kind.options))
        stream.height, stream.width, stream.pix_fmt = rows, rows * 16 // 9 // 2 * 2, "yuv420p"
        base = _TICK if kind.varying else Fraction(1, RATE)
        stream.time_base = stream.codec_context.time_base = base
        if kind.rotation:
            stream.set_display_rotation(kind.rotation)
        for place, pixels in enumerate(_panned(frames, stream.width, stream.height)):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = _varying(place) if kind.varying else place, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _panned(frames: int, width: int, height: int) -> Iterator[np.ndarray]:
    """Windows, uint8 [height, width, 3], that wander over a larger picture of soft and of fine detail."""
    noise = np.random.default_rng(0)
    across, down = (max(1, step * height // 720) for step in _PAN)
    size = width + across * frames, height + down * frames
    coarse = Image.fromarray(noise.integers(0, 256, (size[1] // 40 + 2, size[0] // 40 + 2, 3), np.uint8))
    ground = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    grain = noise.integers(0, 24, (size[1], size[0], 1), np.uint8)
    picture = ground // 8 * 7 + grain
    for place in range(frames):
        x, y = across * place, down * place
        yield np.ascontiguousarray(picture[y : y + height, x : x + width])


def _varying(place: int) -> int:
    """Milliseconds at which a frame is shown: every seventh stays for longer, and there is one gap."""
    return 40 * place + 37 * (place // 7) + (600 if place > 30 else 0)


def _repeat(once: Path, path: Path, copies: int) -> None:
    """Write the coded frames of a video several times, one after the other, without coding anything again."""
    with av.open(str(path), "w") as output:
        target: VideoStream | None = None
        for copy in range(copies):
            with av.open(str(once)) as given:
                stream = given.streams.video[0]
                target = target or output.add_stream_from_template(stream)
                later = copy * (stream.duration or 0)
                for packet in given.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, target
                    output.mux(packet)
