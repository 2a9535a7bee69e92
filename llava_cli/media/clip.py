# SPDX-License-Identifier: Apache-2.0
"""What media become on their way to a model: the view that is wanted, and the clip or still that came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Spread = Literal["uniform", "linspace", "linspace-rounded", "stride"]
Policy = Literal[Spread, "fps"]
Fit = Literal["crop", "squash", "inside", "full", "native"]
Pixels = Literal["exact", "fast"]
Positions = Literal["zero", "index"]

BICUBIC = 3
"""The number that Pillow, and so checkpoints' files, know this filter by."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are shown.

    `uniform` takes `frames` frames at floor(i * total / frames), `linspace` the same number from the first to the
    last, rounded down, `linspace-rounded` the same, rounded to the nearest; `stride` every so many frames, as many as
    the number goes into the total: i * floor(total / frames). `fps` takes `fps` frames a second; there `frames` is an
    upper bound, and where the video has more, so many are spread over it. `start` and `end` are seconds from the start
    of the video and bound what is sampled: frames with start <= time < end.
    """

    policy: Policy = "uniform"
    frames: int = 8
    fps: float | None = None
    start: float | None = None
    end: float | None = None

    @property
    def is_part(self) -> bool:
        """Whether it is of a part of a video."""
        return self.start is not None or self.end is not None


@dataclass(frozen=True)
class NativeSizes:
    """The sizes that pictures keep for the most part: edges are rounded to a unit, pixels are held within bounds."""

    unit: int
    """Both edges are multiples of it."""
    least: int
    """Pixels: smaller pictures are enlarged."""
    most: int
    """Pixels: larger pictures are reduced."""

    @property
    def largest(self) -> tuple[int, int]:
        """(height, width) of a picture with as many pixels as may be, no more than twice as wide as high."""
        cells = self.most // self.unit**2
        rows = range(max(1, math.isqrt(cells // 2)), math.isqrt(cells) + 1)
        height = max(rows, key=lambda height: (height * (cells // height), height))
        return height * self.unit, cells // height * self.unit


@dataclass(frozen=True)
class View:
    """How a checkpoint wants to see video frames; it travels down to the decoder, which scales each frame once.

    `crop` brings the shortest edge to the size and cuts the centre, `squash` ignores the aspect ratio, `inside` keeps
    it and brings only what is larger into the size, `full` keeps every pixel, `native` gives each video a size of its
    own, within `sizes`. `size` is (height, width) in pixels; it is ignored by `full`, and the largest there is for
    `native`. `exact` pixels are, to the byte, those of the published preprocessing: the whole picture in RGB, scaled by
    Pillow with the filter `resample`, a number of Pillow's. `fast` ones are converted and scaled by the decoder's own
    scaler at once, always bicubic. `positions` are what the vision tower is told of when a frame is shown: nothing
    (`zero`), or its index in the video.
    """

    size: tuple[int, int]
    fit: Fit
    sampling: Sampling
    resample: int = BICUBIC
    pixels: Pixels = "exact"
    sizes: NativeSizes | None = None
    positions: Positions = "zero"


@dataclass(frozen=True)
class MediaInfo:
    """What is known of a media file; with the frame list it is the receipt's entry for it."""

    path: str
    kind: Literal["video", "image"]
    width: int
    """Width in pixels as shown: rotation and pixel shape applied."""
    height: int
    """Height in pixels as shown."""
    codec: str | None
    decoder: Literal["pyav", "opencv", "pillow"]
    rotation: int = 0
    """Degrees clockwise that the decoded picture was turned to be upright: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Whether it was mirrored left to right before it was turned."""
    duration: float | None = None
    """Seconds; None for images."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False, eq=False)
class Clip:
    """The sampled frames of one video."""

    frames: np.ndarray
    """uint8 [frames, height, width, 3], RGB."""
    indices: tuple[int, ...]
    """Place of each frame in presentation order, 0 first."""
    times: tuple[float, ...]
    """Seconds from the start of the video for each frame."""
    info: MediaInfo
    sampling: Sampling = field(default_factory=Sampling)
    """The sampling that was used, defaults filled in."""
    pixels: Pixels = "exact"
    """How the frames came to their size."""
    positions: Positions = "zero"
    """What the vision tower is told of their times."""
    fit: Fit = "full"
    """What was done to bring them to their size."""

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or not len(self.frames):
            raise ValueError(f"a clip holds [frames, height, width, 3] and at least one frame: {self.frames.shape = }")
        if not len(self.frames) == len(self.indices) == len(self.times):
            raise ValueError(f"{len(self.frames)} frames, {len(self.indices)} indices, {len(self.times)} times")

    def __repr__(self) -> str:
        return f"Clip({self.info.path!r}, {self.frames.shape}, indices={self.indices})"


@dataclass(frozen=True, repr=False, eq=False)
class Still:
    """One image."""

    pixels: np.ndarray
    """uint8 [height, width, 3], RGB, upright."""
    info: MediaInfo

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[-1] != 3 or not self.pixels.size:
            raise ValueError(f"a still holds [height, width, 3]: {self.pixels.shape = }")

    def __repr__(self) -> str:
        return f"Still({self.info.path!r}, {self.pixels.shape})"


Media = Clip | Still


def joined(parts: Sequence[Clip]) -> Clip:
    """Clips of one video, one after the other, as one; what is known of the file is the first one's."""
    import numpy as np

    return replace(
        parts[0],
        frames=np.concatenate([part.frames for part in parts]),
        indices=tuple(index for part in parts for index in part.indices),
        times=tuple(time for part in parts for time in part.times),
    )


def bytes_of(media: Iterable[Media]) -> int:
    """How much memory decoded pictures take."""
    return sum((medium.frames if isinstance(medium, Clip) else medium.pixels).nbytes for medium in media)


def shape_of(medium: Media) -> tuple[int, ...]:
    """Of its pixels."""
    return (medium.frames if isinstance(medium, Clip) else medium.pixels).shape


def outline(medium: Media) -> Media:
    """The same with hardly a pixel: all that is to be known of it where it is not looked at."""
    if isinstance(medium, Clip):
        return replace(medium, frames=medium.frames[:, :1, :1].copy())
    return replace(medium, pixels=medium.pixels[:1, :1].copy())


def outlined(medium: Media, shape: tuple[int, ...]) -> Media:
    """An outline that claims to have pixels of this shape: they are black, and take no memory."""
    import numpy as np

    black = np.broadcast_to(np.uint8(0), shape)
    return replace(medium, frames=black) if isinstance(medium, Clip) else replace(medium, pixels=black)


def blank_clip(view: View, frames: int) -> Clip:
    """A clip of so many frames as `view` wants them, of no picture: to count what it would take."""
    import numpy as np

    info = MediaInfo("blank", "video", view.size[1], view.size[0], None, "pyav")
    pixels = np.broadcast_to(np.uint8(0), (frames, *view.size, 3))
    times = tuple(map(float, range(frames)))
    return Clip(pixels, tuple(range(frames)), times, info, view.sampling, positions=view.positions, fit=view.fit)
