# SPDX-License-Identifier: Apache-2.0
"""Clips and stills made of random blocks, for tests that need pictures but no files."""

from __future__ import annotations

import dataclasses

import numpy as np

from llava_cli.media.clip import Clip, MediaInfo, Still


def noise(seed: int, *shape: int) -> np.ndarray:
    """uint8 random blocks of 4 x 4 pixels in the last three axes' (height, width, 3)."""
    *front, height, width, channels = shape
    coarse = np.random.default_rng(seed).integers(
        0, 256, (*front, -(-height // 4), -(-width // 4), channels), dtype=np.uint8
    )
    return coarse.repeat(4, axis=-3).repeat(4, axis=-2)[..., :height, :width, :]


def clip(frames: int, height: int, width: int, seed: int = 0) -> Clip:
    info = MediaInfo("clip.mp4", "video", width, height, "h264", "pyav", duration=float(frames))
    indices = tuple(range(frames))
    return Clip(noise(seed, frames, height, width, 3), indices, tuple(map(float, indices)), info)


def still(height: int, width: int, seed: int = 0) -> Still:
    return Still(noise(seed, height, width, 3), MediaInfo("still.png", "image", width, height, "png", "pillow"))


def altered(seen: Clip) -> dict[str, Clip]:
    """The clip and others that differ from it in one thing only; it must have four frames or more."""
    black = seen.frames.copy()
    black[3] = 0
    frames = {
        "as it is": seen.frames,
        "reversed": seen.frames[::-1].copy(),
        "swapped channels": seen.frames[..., ::-1].copy(),
        "one frame black": black,
    }
    return {name: dataclasses.replace(seen, frames=shown) for name, shown in frames.items()}
