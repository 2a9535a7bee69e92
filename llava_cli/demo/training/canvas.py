# SPDX-License-Identifier: Apache-2.0
"""What painters paint with: colours, textures and masks, and how one is laid over another."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[Any]
"""float32 [height, width, 3]."""
Mask = npt.NDArray[Any]
"""float32 [height, width], 0 to 1."""
Generator = np.random.Generator
Colour = tuple[float, float, float]


def natural_colour(rng: Generator, low: float = 10, high: float = 240) -> Colour:
    """Draw a muted colour, as most things outside a drawing program have."""
    grey = rng.uniform(low, high)
    tint = rng.normal(0, 1, 3) * rng.choice([6, 20, 45])
    red, green, blue = np.clip(grey + tint, 0, 255)
    return float(red), float(green), float(blue)


def fractal(rng: Generator, height: int, width: int, roughness: float | None = None, channels: int = 1) -> Canvas:
    """Return sums of random grids from coarse to fine, float32 [height, width, channels], mean 0, deviation 1."""
    if roughness is None:
        roughness = rng.uniform(0.35, 1.0)
    total = np.zeros((height, width, channels), np.float32)
    cells, weight = int(rng.integers(2, 5)), 1.0
    while cells < max(height, width):
        grid = rng.normal(0, weight, (cells, cells, channels)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)
        cells, weight = cells * 2, weight * roughness
    return (total - total.mean()) / (total.std() + 1e-6)


def ramp(rng: Generator, height: int, width: int, first: Colour | None = None, last: Colour | None = None) -> Canvas:
    """Return a gradient between two colours, at any angle."""
    first, last = first or natural_colour(rng), last or natural_colour(rng)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = x * np.cos(angle) + y * np.sin(angle)
    part = ((along - along.min()) / max(float(np.ptp(along)), 1.0))[..., None]
    return (np.array(first) * (1 - part) + np.array(last) * part).astype(np.float32)


def blur(picture: Canvas, sigma: float) -> Canvas:
    """Blur a little or a lot; sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32) if sigma > 0.2 else picture


def blend(below: Canvas, above: Canvas | Colour, mask: Mask) -> Canvas:
    """Lay one canvas or colour over another where the mask [height, width] says so (0..1)."""
    return (below + (np.asarray(above, np.float32) - below) * mask[..., None]).astype(np.float32)


def filled(height: int, width: int, points: npt.NDArray[Any]) -> Mask:
    """Return the mask [height, width] of a polygon [corners, 2] in pixels."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def oval(height: int, width: int, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0) -> Mask:
    """Return the mask of an ellipse; pixels and degrees."""
    angles = np.linspace(0, 2 * np.pi, 40)
    turn = np.deg2rad(tilt)
    x, y = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
    corners = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
    return filled(height, width, corners + centre)
