# SPDX-License-Identifier: Apache-2.0
"""Renders small videos of many kinds, in which each frame says which one it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

BITS = 8
DARK, LIGHT = 30, 220


def marked(index: int, width: int, height: int) -> np.ndarray:
    """Return uint8 [height, width, 3]: `index` in binary, four cells to a row, over a slope that drifts with it."""
    rows, columns = np.mgrid[:height, :width]
    cell = (rows * 2 // height) * 4 + columns * 4 // width
    bright = np.where(index >> cell & 1, LIGHT, DARK)
    slope = (columns + 3 * index) % width * 24 // width
    return np.stack([bright + slope, bright, bright + 24 - slope], axis=-1).astype(np.uint8)


def read_mark(pixels: np.ndarray) -> int:
    """Return the index that upright pixels [height, width, 3] of any size carry."""
    height, width = pixels.shape[:2]
    middles = [
        pixels[height * (2 * (bit // 4) + 1) // 4, width * (2 * (bit % 4) + 1) // 8].mean() for bit in range(BITS)
    ]
    return int(sum((middle > (DARK + LIGHT) / 2) << bit for bit, middle in enumerate(middles)))


@dataclass(frozen=True)
class Spec:
    """How to render one video."""

    suffix: str = ".mp4"
    codec: str = "libx264"
    frames: int = 60
    size: tuple[int, int] = (64, 48)
    """(width, height) as shown, in stored pixels."""
    rate: Fraction = Fraction(25)
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    stamps: Sequence[int] | None = None
    """Milliseconds at which each frame is shown, for rates that vary."""
    first: int = 0
    """Stamp of the first frame, in frames."""
    rotation: int = 0
    """Degrees counter-clockwise in the display matrix."""
    mirrored: bool = False
    pixel_shape: Fraction | None = None
    transfer: int | None = None


def x264(gop: int = 12, **more: str) -> dict[str, str]:
    return {"g": str(gop), "bf": "3", "preset": "veryfast", "sc_threshold": "0", **more}


MKV_RATE = Fraction(24000, 1001)
IRREGULAR = [40 * i + 37 * (i // 7) + (600 if i > 30 else 0) for i in range(60)]

JITTERY = [40 * i + i * 7 % 11 - 5 * (i > 0) for i in range(60)]

SPECS = {
    "h264": Spec(options=x264(), frames=100),
    "one_group": Spec(options=x264(250), frames=90),
    "open_gop": Spec(options=x264(**{"x264-params": "open-gop=1:b-adapt=0"})),
    "intra_refresh": Spec(options={"g": "20", "bf": "0", "x264-params": "intra-refresh=1"}, size=(128, 96)),
    "vfr": Spec(options=x264(), stamps=IRREGULAR),
    "vfr_mkv": Spec(".mkv", options=x264(), stamps=IRREGULAR),
    "jitter": Spec(options=x264(), stamps=JITTERY),
    "rotated_90": Spec(options=x264(), frames=20, rotation=90),
    "rotated_180": Spec(options=x264(), frames=20, rotation=180),
    "rotated_270": Spec(options=x264(), frames=20, rotation=-90),
    "mirrored": Spec(options=x264(), frames=20, rotation=90, mirrored=True),
    "hevc": Spec(codec="libx265", options={"x265-params": "keyint=15:bframes=3:log-level=none", "preset": "ultrafast"}),
    "vp9": Spec(".webm", "libvpx-vp9", options={"g": "15", "deadline": "realtime", "cpu-used": "8"}),
    "vp8": Spec(".webm", "libvpx", options={"g": "15", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"}),
    "av1": Spec(codec="libsvtav1", frames=40, options={"g": "16", "preset": "12"}, size=(64, 64)),
    "mpegts": Spec(".ts", options=x264()),
    "mpegps": Spec(".mpg", "mpeg2video", options={"g": "12", "bf": "2"}, size=(128, 96)),
    "mkv": Spec(".mkv", options=x264(), rate=MKV_RATE),
    "mkv_without_index": Spec(".mkv", options=x264(), container={"live": "1"}),
    "fragmented": Spec(options=x264(), container={"movflags": "frag_keyframe+empty_moov"}),
    "avi": Spec(".avi", "mpeg4", options={"g": "12", "bf": "2"}),
    "avi_h264": Spec(".avi", options=x264()),
    "annex_b": Spec(".h264", options=x264(), format="h264"),
    "one_frame": Spec(options=x264(), frames=1),
    "odd_size": Spec(options=x264(), size=(65, 49), pixels="yuv444p"),
    "delayed": Spec(options=x264(), first=208),
    "ten_bit": Spec(options=x264(), pixels="yuv420p10le", frames=30),
    "hdr": Spec(options=x264(), pixels="yuv420p10le", frames=10, transfer=16),
    "wide_rotated": Spec(options=x264(), frames=10, pixel_shape=Fraction(2), rotation=90),
    "wide_pixels": Spec(options=x264(), frames=10, pixel_shape=Fraction(2)),
}


def as_held(pixels: np.ndarray, spec: Spec) -> np.ndarray:
    """Return the upright pixels as a camera that was held askew stores them: what the display matrix says, undone."""
    if spec.mirrored:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, -spec.rotation // 90))


@contextmanager
def modest() -> Iterator[None]:
    """Be nobody for a while, where we are root: for root, SVT-AV1 gives its threads real-time priority."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def render(spec: Spec, path: Path) -> None:
    """Write the video that `spec` describes."""
    with av.open(str(path), "w", format=spec.format, options=spec.container) as output:
        stream = output.add_stream(spec.codec, rate=spec.rate, options=spec.options)
        stream.height, stream.width = as_held(marked(0, *spec.size), spec).shape[:2]
        stream.pix_fmt = spec.pixels
        base = Fraction(1, 1000) if spec.stamps else 1 / spec.rate
        stream.time_base = stream.codec_context.time_base = base
        if spec.pixel_shape is not None:
            stream.codec_context.sample_aspect_ratio = spec.pixel_shape
        if spec.transfer is not None:
            stream.codec_context.color_trc = spec.transfer
        if spec.rotation or spec.mirrored:
            stream.set_display_rotation(spec.rotation, hflip=spec.mirrored)
        with modest():
            stream.codec_context.open(strict=False)
        for index in range(spec.frames):
            frame = av.VideoFrame.from_ndarray(as_held(marked(index, *spec.size), spec), "rgb24")
            frame.pts = spec.stamps[index] if spec.stamps else index + spec.first
            frame.time_base = base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def remux(source: Path, target: Path, change: Callable[[int, bytes], bytes | None], **options: str) -> None:
    """Copy a video by packets; `change` gets each one's place and bytes and gives new bytes, or None to drop it."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as output:
        stream = given.streams.video[0]
        copy = output.add_stream_from_template(stream)
        packets = [packet for packet in given.demux(stream) if packet.size]
        for place, packet in enumerate(packets):
            data = change(place, bytes(packet))
            if data is None:
                continue
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
            changed.time_base, changed.is_keyframe, changed.stream = packet.time_base, packet.is_keyframe, copy
            output.mux(changed)


def two_tracks(path: Path, first: Disposition, second: Disposition) -> None:
    """Write a video whose first track shows 3 in all its frames, and its second 7."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, disposition in zip(streams, (first, second), strict=True):
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.disposition = disposition
        for index in range(10):
            for stream, mark in zip(streams, (3, 7), strict=True):
                frame = av.VideoFrame.from_ndarray(marked(mark, 64, 48), "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
