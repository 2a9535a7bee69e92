# SPDX-License-Identifier: Apache-2.0
"""Pixels as the model is fed: the central square of video frames, anyres tiles of stills, and wear and tear."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from llava_cli.demo.draw import Pixels

SIDE = 64
PATCH = 8
GRID = SIDE // PATCH
FRAMES = 8
FRAME_TOKENS = (GRID // 2) ** 2
"""Visual tokens of one video frame after pooling 2 by 2."""
PINPOINTS = ((64, 128), (128, 64), (128, 128))
"""Canvases for stills, (height, width)."""
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Window(NamedTuple):
    """Where a view lies in the picture: view = scale * picture + shift, both as fractions, for x and y."""

    x_scale: float = 1.0
    x_shift: float = 0.0
    y_scale: float = 1.0
    y_shift: float = 0.0


def normalise(pixels: Pixels) -> npt.NDArray[Any]:
    """Turn uint8 [..., height, width, 3] into CLIP's float32 [..., 3, height, width]."""
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    scaled = (pixels.astype(np.float32) / 255 - mean) / deviation
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


def resize(picture: Pixels, width: int, height: int, rough: bool = False) -> Pixels:
    """Resize one picture as Pillow's bicubic does, or by `rough` area means, which other scalers resemble."""
    if rough:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def sample_times(rng: Random) -> list[float]:
    """Draw the times of the frames: first to last inclusive, or the same place in every eighth of the clip."""
    if rng.random() < 0.4:
        return [index / (FRAMES - 1) for index in range(FRAMES)]
    offset = rng.choice((0.0, 0.5, rng.random()))
    return [(index + offset) / FRAMES for index in range(FRAMES)]


def wear(frames: Pixels, rng: Random) -> Pixels:
    """Add compression, blur and sensor noise, alike in all frames [frames, height, width, 3]."""
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(35, 90)]
        coded = [cv2.imencode(".jpg", frame, quality)[1] for frame in frames]
        frames = np.stack([np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR)) for code in coded])
    if rng.random() < 0.2:
        sigma = rng.uniform(0.3, 0.8)
        frames = np.stack([cv2.GaussianBlur(frame, (3, 3), sigma) for frame in frames])
    if rng.random() < 0.3:
        grain = np.random.default_rng(rng.getrandbits(30)).normal(0, rng.uniform(1, 6), frames.shape)
        frames = np.clip(frames + grain, 0, 255).astype(np.uint8)
    return frames


def video_view(frames: Pixels, rough: bool = False) -> Pixels:
    """Resize square frames to what the vision tower takes, uint8 [frames, SIDE, SIDE, 3]."""
    return np.stack([resize(frame, SIDE, SIDE, rough) for frame in frames])


class Anyres(NamedTuple):
    """How a still of some size is cut into tiles."""

    canvas: tuple[int, int]
    """Height and width of the chosen canvas."""
    inner: tuple[int, int]
    """Height and width of the picture inside it."""

    @property
    def offset(self) -> tuple[int, int]:
        """Top and left edge of the picture in its canvas."""
        return (self.canvas[0] - self.inner[0]) // 2, (self.canvas[1] - self.inner[1]) // 2

    def windows(self) -> list[Window]:
        """Return the place of the whole view and of every tile in the picture."""
        (height, width), (top, left) = self.inner, self.offset
        tiles = [
            Window(width / SIDE, (left - x) / SIDE, height / SIDE, (top - y) / SIDE)
            for y in range(0, self.canvas[0], SIDE)
            for x in range(0, self.canvas[1], SIDE)
        ]
        return [Window(), *tiles]


def plan_anyres(height: int, width: int) -> Anyres:
    """Choose the canvas as the hub's image processor does."""
    from transformers.image_processing_utils import select_best_resolution

    canvas = select_best_resolution((height, width), [list(pinpoint) for pinpoint in PINPOINTS])
    down, across = canvas[0] / height, canvas[1] / width
    if across < down:
        inner = min(int(np.ceil(height * across)), canvas[0]), canvas[1]
    else:
        inner = canvas[0], min(int(np.ceil(width * down)), canvas[1])
    return Anyres(canvas, inner)


def still_tiles(picture: Pixels, rough: bool = False) -> Pixels:
    """Cut a still [height, width, 3] into the whole view and its tiles, uint8 [tiles, SIDE, SIDE, 3]."""
    plan = plan_anyres(*picture.shape[:2])
    (height, width), (top, left) = plan.inner, plan.offset
    canvas = np.zeros((*plan.canvas, 3), np.uint8)
    canvas[top : top + height, left : left + width] = resize(picture, width, height, rough)
    tiles = [
        canvas[y : y + SIDE, x : x + SIDE]
        for y in range(0, plan.canvas[0], SIDE)
        for x in range(0, plan.canvas[1], SIDE)
    ]
    return np.stack([resize(picture, SIDE, SIDE, rough), *tiles])


def still_tokens(height: int, width: int) -> int:
    """Return how many visual tokens a still of this size takes: the whole view, the unpadded tiles, the line ends."""
    plan = plan_anyres(height, width)
    rows, columns = plan.canvas[0] // PATCH, plan.canvas[1] // PATCH
    if width / height > columns / rows:
        rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
    else:
        columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
    return GRID**2 + rows * columns + rows
