# SPDX-License-Identifier: Apache-2.0
"""Transparent video is shown on white, as transparent images are."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that give the transparency which FFmpeg's own ones leave out, by codec."""


def is_left_out(stream: VideoStream) -> bool:
    """Whether a track's transparency stands beside its packets, where FFmpeg's own decoders do not look."""
    said = {key.lower(): value for key, value in stream.metadata.items()}
    return stream.codec_context.name in DECODERS and said.get("alpha_mode") == "1"


def on_white(frame: VideoFrame, reformatter: VideoReformatter) -> VideoFrame:
    """The frame itself where it is opaque; otherwise one in RGB, blended with white."""
    if not _has_alpha(frame.format.name):
        return frame
    pixels = reformatter.reformat(frame, format="rgba", threads=1).to_ndarray()
    opacity = pixels[..., 3:].astype(np.uint16)
    if int(opacity.min()) == 255:
        return frame
    blended = (pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255
    return VideoFrame.from_ndarray(blended.astype(np.uint8), format="rgb24")


@cache
def _has_alpha(name: str) -> bool:
    pixel_format = VideoFormat(name)
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)
