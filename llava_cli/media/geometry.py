# SPDX-License-Identifier: Apache-2.0
"""Where pixels go: turned upright, stretched to the shape they are shown in, scaled and cut to a checkpoint's view."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from llava_cli.media.clip import NativeSizes, View
from llava_cli.media.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SANE_ASPECT_RATIOS = (Fraction(1, 8), Fraction(8))
"""Pixels stretched more than this come from a damaged header and are taken for square."""
_LONGEST = 200
"""Times its other edge that an edge of a picture in its native size may have."""


@dataclass(frozen=True)
class Orientation:
    """How stored pixels become upright: mirrored left to right first, then turned clockwise by quarters."""

    turns: int = 0
    mirrored: bool = False

    @property
    def degrees(self) -> int:
        return self.turns * 90

    @property
    def sideways(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    def swap(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after turning; it is its own inverse."""
        return (height, width) if self.sideways else (width, height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """A view of pixels [height, width, ...], upright."""
        import numpy as np

        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.rot90(pixels, -self.turns)

    def turn(self, image: Image.Image) -> Image.Image:
        """The image, upright: for large ones in half the time that copying the view above takes."""
        from PIL.Image import Transpose

        if self.mirrored:
            image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
        # Pillow turns the other way round.
        quarters = (None, Transpose.ROTATE_270, Transpose.ROTATE_180, Transpose.ROTATE_90)[self.turns]
        return image if quarters is None else image.transpose(quarters)


UPRIGHT = Orientation()

# Where (1, 0) and (0, 1) go, x to the right and y down, for each of the eight ways to hold a camera.
AXES = {
    (1, 0, 0, 1): UPRIGHT,
    (0, 1, -1, 0): Orientation(1),
    (-1, 0, 0, -1): Orientation(2),
    (0, -1, 1, 0): Orientation(3),
    (-1, 0, 0, 1): Orientation(0, mirrored=True),
    (0, -1, -1, 0): Orientation(1, mirrored=True),
    (1, 0, 0, -1): Orientation(2, mirrored=True),
    (0, 1, 1, 0): Orientation(3, mirrored=True),
}

EXIF = {
    2: Orientation(0, mirrored=True),
    3: Orientation(2),
    4: Orientation(2, mirrored=True),
    5: Orientation(3, mirrored=True),
    6: Orientation(1),
    7: Orientation(1, mirrored=True),
    8: Orientation(3),
}


def from_display_matrix(matrix: bytes) -> Orientation:
    """The orientation in FFmpeg's display matrix: nine native int32, the first two of each row in 16.16 fixed point.

    Angles between the quarters, and matrices of no sense at all, count as upright: no player follows them either.
    """
    if len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack_from("=9i", matrix)
    longest = max(map(abs, (a, b, c, d)))
    if not longest:
        return UPRIGHT
    axes = tuple(round(value / longest) for value in (a, b, c, d))
    exact = all(abs(value / longest - axis) < 0.1 for value, axis in zip((a, b, c, d), axes, strict=True))
    return AXES.get(axes, UPRIGHT) if exact else UPRIGHT


def display_size(width: int, height: int, sample_aspect_ratio: Fraction | None) -> tuple[int, int]:
    """(width, height) in square pixels, as stored: not turned yet."""
    if sample_aspect_ratio is None or not SANE_ASPECT_RATIOS[0] <= sample_aspect_ratio <= SANE_ASPECT_RATIOS[1]:
        return width, height
    return max(1, round(width * sample_aspect_ratio)), height


@dataclass(frozen=True)
class Fitting:
    """Scale the upright picture to width x height, then cut `cut_height` rows from `top` and columns from `left`."""

    width: int
    height: int
    top: int
    left: int
    cut_width: int
    cut_height: int

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """A view of the centre of pixels [height, width, ...]."""
        return pixels[self.top : self.top + self.cut_height, self.left : self.left + self.cut_width]


def fitting(width: int, height: int, view: View) -> Fitting:
    """How an upright picture of square pixels comes into `view`, by the arithmetic of the published processors.

    Raises:
        MediaError: its shape has no native size.
    """
    if view.fit == "full":
        return Fitting(width, height, 0, 0, width, height)
    if view.sizes is not None:
        height, width = native_size(height, width, view.sizes)
        return Fitting(width, height, 0, 0, width, height)
    rows, columns = view.size
    if view.fit == "squash":
        return Fitting(columns, rows, 0, 0, columns, rows)
    if view.fit == "inside":
        scale = min(Fraction(1), Fraction(columns, width), Fraction(rows, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        return Fitting(width, height, 0, 0, width, height)
    if width * rows <= columns * height:
        scaled_width, scaled_height = columns, columns * height // width
    else:
        scaled_width, scaled_height = rows * width // height, rows
    top, left = (scaled_height - rows) // 2, (scaled_width - columns) // 2
    return Fitting(scaled_width, scaled_height, top, left, columns, rows)


def native_size(height: int, width: int, sizes: NativeSizes) -> tuple[int, int]:
    """The (height, width) that a picture is brought to, by the arithmetic of Qwen2-VL's processor.

    Raises:
        MediaError: the picture is too long for its width.
    """
    if max(height, width) > _LONGEST * min(height, width):
        raise MediaError(f"is {width} by {height} pixels: one edge is more than {_LONGEST} times as long as the other")
    unit = sizes.unit
    rounded = round(height / unit) * unit, round(width / unit) * unit
    if math.prod(rounded) > sizes.most:
        ratio = math.sqrt(height * width / sizes.most)
        return max(unit, int(height / ratio / unit) * unit), max(unit, int(width / ratio / unit) * unit)
    if math.prod(rounded) < sizes.least:
        ratio = math.sqrt(sizes.least / (height * width))
        return math.ceil(height * ratio / unit) * unit, math.ceil(width * ratio / unit) * unit
    return rounded


def bring_into_view(pixels: np.ndarray, view: View) -> np.ndarray:
    """Upright pixels [height, width, 3], scaled and cut with Pillow."""
    import numpy as np
    from PIL import Image

    plan = fitting(pixels.shape[1], pixels.shape[0], view)
    if (plan.width, plan.height) == (pixels.shape[1], pixels.shape[0]):
        return np.ascontiguousarray(plan.cut(pixels))
    return scaled(Image.fromarray(np.ascontiguousarray(pixels)), plan, view.resample)


def scaled(image: Image.Image, plan: Fitting, resample: int) -> np.ndarray:
    """An image in RGB, scaled with a filter of Pillow's and cut: uint8 [height, width, 3].

    All of it is scaled, and then cut: Pillow's `box` would leave out what is cut off, but it holds places in single
    precision, which changes some bytes; and which way it goes first, across or down, depends on its version.
    """
    import numpy as np

    return plan.cut(np.asarray(image.resize((plan.width, plan.height), resample))).copy()
