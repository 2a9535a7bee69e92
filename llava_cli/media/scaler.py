# SPDX-License-Identifier: Apache-2.0
"""From a decoded frame to the small picture that is wanted: as the published recipes do, or in one pass of FFmpeg's."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

from llava_cli.media.alpha import on_white
from llava_cli.media.clip import View
from llava_cli.media.errors import MediaError
from llava_cli.media.geometry import (
    UPRIGHT,
    Orientation,
    display_size,
    fitting,
    from_display_matrix,
    scaled,
)

# Without the accurate flags swscale's pictures come out a level too dark; with them they cost the same.
INTERPOLATION = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)

UNSPECIFIED = 2
SUPPORTED = {0, 1, UNSPECIFIED, 4, 5, 6, 7, 9}
"""Matrix coefficients, by their numbers in H.273, that FFmpeg's scaler makes RGB with."""
UNSUPPORTED = {
    8: "YCgCo", 10: "BT.2020 with constant luminance", 11: "Y'D'zD'x", 12: "chromaticity-derived colours",
    13: "chromaticity-derived colours with constant luminance", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re",
    17: "YCgCo-Ro",
}  # fmt: skip


@dataclass(frozen=True)
class ScaledFrame:
    """One wanted frame, reduced to the view."""

    index: int
    time: float
    """Seconds from the start of the video."""
    pixels: np.ndarray
    """uint8 [height, width, 3], RGB, upright."""
    size: tuple[int, int]
    """(width, height) of the whole picture as shown."""
    orientation: Orientation
    transfer: int
    """The transfer characteristic's number in H.273, by which HDR is known."""
    concealed: bool
    """Whether the decoder had to make up parts of it."""
    matrix: int = UNSPECIFIED
    """The matrix coefficients' number in H.273, as the file has it."""


class FrameScaler:
    """Scales decoded frames to the view. Keeps its tables from frame to frame; belongs to one thread."""

    def __init__(self, view: View, sample_aspect_ratio: Fraction | None) -> None:
        self.view = view
        self.sample_aspect_ratio = sample_aspect_ratio
        self.reformatter = VideoReformatter()

    def __call__(self, index: int, time: float, frame: VideoFrame) -> ScaledFrame:
        """`frame` in the view.

        Raises:
            MediaError: its colours cannot be converted.
        """
        matrix = int(frame.colorspace)
        if matrix in UNSUPPORTED:
            raise MediaError(f"has colours in {UNSUPPORTED[matrix]}, which cannot be converted; make a copy in BT.709")
        if matrix not in SUPPORTED:  # means nothing
            frame.colorspace = UNSPECIFIED
        orientation = orientation_of(frame)
        size = orientation.swap(*display_size(frame.width, frame.height, self.sample_aspect_ratio))
        fast = self.view.pixels == "fast" and self.view.fit != "full"
        pixels = (self._fast if fast else self._exact)(on_white(frame, self.reformatter), orientation, size)
        return ScaledFrame(index, time, pixels, size, orientation, frame.color_trc, frame.is_corrupt, matrix)

    def _exact(self, frame: VideoFrame, orientation: Orientation, size: tuple[int, int]) -> np.ndarray:
        """The published recipes' bytes: all of the picture in RGB by PyAV's defaults, and the rest by Pillow.

        What they leave as it is stored comes before the scaling here: pixels that are not square, and turning.
        """
        stored = orientation.swap(*size)
        plan = fitting(*size, self.view)
        if (plan.width, plan.height) == size:
            return plan.cut(orientation.apply(self._whole(frame, stored).to_ndarray())).copy()
        return scaled(orientation.turn(_as_image(self._whole(frame, stored))), plan, self.view.resample)

    def _fast(self, frame: VideoFrame, orientation: Orientation, size: tuple[int, int]) -> np.ndarray:
        """Works on the pixels as stored; turning comes last, when few are left."""
        plan = fitting(*size, self.view)
        small = self._rgb(frame, orientation.swap(plan.width, plan.height))
        return np.ascontiguousarray(plan.cut(orientation.apply(small.to_ndarray())))

    def _whole(self, frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        if size != (frame.width, frame.height):
            return self._rgb(frame, size)
        # One thread makes the same bytes as PyAV's default, which is one a core, for less.
        return self.reformatter.reformat(frame, format="rgb24", threads=1)

    def _rgb(self, frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        return self.reformatter.reformat(frame, *size, "rgb24", interpolation=INTERPOLATION, threads=1)


def _as_image(frame: VideoFrame) -> Image.Image:
    """A frame in RGB, without the copy that its `to_ndarray` makes on the way."""
    (plane,) = frame.planes
    rows = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
    return Image.frombuffer("RGB", (frame.width, frame.height), rows, "raw", "RGB", plane.line_size, 1)


def orientation_of(frame: VideoFrame) -> Orientation:
    """How to turn a decoded frame upright: PyAV never does, phones rely on it."""
    # Not frame.side_data: frame and container would hold each other, and 50 MB of an 8K frame, until Python looks.
    matrix = SideDataContainer(frame).get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-arg]
    return UPRIGHT if matrix is None else from_display_matrix(bytes(matrix))
