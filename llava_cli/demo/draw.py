# SPDX-License-Identifier: Apache-2.0
"""Turn a clip's spec into pixels, H.264 files and stills."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from llava_cli.demo.world import RGB, Background, ClipSpec, Shape, State

Pixels = npt.NDArray[Any]
"""uint8 [..., height, width, 3], RGB."""
_SUBPIXEL_BITS = 4


def render(spec: ClipSpec, times: list[float], width: int, height: int) -> Pixels:
    """Return the frames at these times (0 to 1), uint8 [frames, height, width, 3] RGB."""
    if not isinstance(spec.ground, Background):
        return spec.ground.render(times, width, height)
    ground = paint_background(spec.ground, width, height)
    frames = np.repeat(ground[None], len(times), axis=0)
    for frame, time in zip(frames, times, strict=True):
        for shape in spec.shapes:
            draw_shape(frame, shape, shape.at(time))
    return frames


def paint_background(ground: Background, width: int, height: int) -> Pixels:
    """Return the empty ground, uint8 [height, width, 3]."""
    noise = np.random.default_rng(ground.seed)
    mix: Any
    if ground.pattern == "rows":
        mix = np.broadcast_to(np.linspace(0, 1, height)[:, None], (height, width))
    elif ground.pattern == "columns":
        mix = np.broadcast_to(np.linspace(0, 1, width)[None], (height, width))
    elif ground.pattern == "blotches":
        coarse = noise.random((5, 5)).astype(np.float32)
        mix = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    else:
        bars = np.arange(width) // max(width // 10, 1) % 2
        mix = np.broadcast_to(bars[None] * 0.35, (height, width))
    first, second = (np.array(shade, np.float32) for shade in (ground.first, ground.second))
    picture = first + (second - first) * mix[..., None].astype(np.float32)
    if ground.grain:
        picture = picture + noise.normal(0, ground.grain, (height, width, 1)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw_shape(frame: Pixels, shape: Shape, state: State, rgb: RGB | None = None) -> None:
    """Draw one shape into a frame [height, width, 3], antialiased, in its own colour or the given one."""
    if not state.visible:
        return
    height, width = frame.shape[:2]
    side = min(width, height)
    x, y = width / 2 + (state.x - 0.5) * side, height / 2 + (state.y - 0.5) * side
    points = (outline(shape, state.radius * side) + np.array([x, y])) * 2**_SUBPIXEL_BITS
    cv2.fillPoly(frame, [np.round(points).astype(np.int32)], rgb or shape.rgb, cv2.LINE_AA, _SUBPIXEL_BITS)


def outline(shape: Shape, radius: float) -> npt.NDArray[np.float64]:
    """Return the corners around the origin, [corners, 2], in the unit of `radius`."""
    if shape.kind == "circle":
        angles, reach = np.arange(0, 360, 7.5), np.full(48, 1.0)
    elif shape.kind == "square":
        angles, reach = np.array([45.0, 135, 225, 315]), np.full(4, 1.2)
    elif shape.kind == "triangle":
        angles, reach = np.array([-90.0, 30, 150]), np.full(3, 1.3)
    else:
        angles, reach = -90 + 36.0 * np.arange(10), np.where(np.arange(10) % 2, 0.52, 1.25)
    angles = np.deg2rad(angles + shape.tilt)
    return radius * np.stack([reach * np.cos(angles) * shape.stretch, reach * np.sin(angles)], axis=1)


def render_clip(
    spec: ClipSpec,
    path: Path,
    *,
    seconds: float = 3.0,
    rate: int = 24,
    width: int = 320,
    height: int = 240,
    crf: int = 20,
    reverse: bool = False,
    swap_channels: bool = False,
) -> None:
    """Write the clip as an H.264 MP4; `reverse` turns time round, `swap_channels` exchanges red and blue."""
    count = max(round(seconds * rate), 1)
    frames = render(spec, [index / count for index in range(count)], width, height)
    if reverse:
        frames = frames[::-1]
    if swap_channels:
        frames = frames[..., ::-1]
    encode(frames, path, rate=rate, crf=crf)


def encode(frames: Pixels, path: Path, *, rate: int = 24, crf: int = 20) -> None:
    """Write frames [frames, height, width, 3] as an H.264 MP4; width and height must be even."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def render_still(spec: ClipSpec, path: Path, *, width: int = 320, height: int = 240, time: float = 0.0) -> None:
    """Write one moment as an image; the suffix of the path chooses the format."""
    from PIL import Image

    Image.fromarray(render(spec, [time], width, height)[0]).save(path)
