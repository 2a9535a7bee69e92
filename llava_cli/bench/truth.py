# SPDX-License-Identifier: Apache-2.0
"""Which frames a reader really gave: each is held beside those of a full decode from the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from llava_cli.bench.peers import as_shown
from llava_cli.errors import InputError, first_line

NEAR = 3
"""A frame is compared with so many before and after the one that it is taken for."""
CLOSE = 6.0
"""Levels (of 255) that two ways to scale the same picture may differ by, in the mean."""


@dataclass(frozen=True)
class Truth:
    """Frames of a full decode, as a vision tower is shown them."""

    total: int
    frames: dict[int, np.ndarray]
    """By index: those that somebody gave, and their neighbours."""


@dataclass(frozen=True)
class Verdict:
    """How many of the frames wanted were given."""

    right: int
    """Those that show what they were taken for, and no neighbour of it."""
    identical: int
    """Those that are the same to the byte."""
    wanted: int

    @property
    def exact(self) -> bool:
        return self.right == self.wanted


def decode_all(path: Path, indices: Sequence[int]) -> Truth:
    """Decode everything in order, upright and with square pixels; keep these frames and their neighbours.

    Raises:
        InputError: it cannot be decoded.
    """
    try:
        return _decode_all(path, indices)
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: cannot be decoded with PyAV ({first_line(error)}); name a video") from error


def _decode_all(path: Path, indices: Sequence[int]) -> Truth:
    wanted = {index + step for index in indices for step in range(-NEAR, NEAR + 1)}
    kept, total = {}, 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        shape = stream.sample_aspect_ratio or 1
        for index, frame in enumerate(container.decode(stream)):
            total += 1
            if index in wanted:
                pixels = frame.to_ndarray(format="rgb24")
                if shape != 1:
                    size = round(frame.width * shape), frame.height
                    pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
                kept[index] = as_shown(np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)))
    return Truth(total, kept)


def judge(indices: Sequence[int], frames: np.ndarray, truth: Truth, asked: int) -> Verdict:
    """What frames, uint8 [frames, side, side, 3], that are taken for those with these indices really are.

    Args:
        asked: how many frames were asked for; a video that has fewer shall give them all.
    """
    given = list(zip(indices, frames, strict=True))
    right = sum(_is_right(index, pixels, truth) for index, pixels in given)
    same = sum(index in truth.frames and np.array_equal(pixels, truth.frames[index]) for index, pixels in given)
    return Verdict(right, same, min(asked, truth.total))


def _is_right(index: int, pixels: np.ndarray, truth: Truth) -> bool:
    near = range(index - NEAR, index + NEAR + 1)
    apart = {place: _apart(pixels, truth.frames[place]) for place in near if place in truth.frames}
    return index in apart and apart[index] <= min(CLOSE, *apart.values())


def _apart(pixels: np.ndarray, others: np.ndarray) -> float:
    """Levels by which two pictures differ, in the mean."""
    return float(np.abs(pixels.astype(np.int16) - others).mean())
