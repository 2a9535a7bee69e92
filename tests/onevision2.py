# SPDX-License-Identifier: Apache-2.0
"""What LLaVA-OneVision-2's authors' code computes with the tiny checkpoint of three layers.

`tests/data/llava_onevision2.npz` holds it, from github.com/EvolvingLMMs-Lab/LLaVA-OneVision-2 at 2c3c25e (unchanged, on
transformers 5.23), in float32 on the CPU; pictures are in it as PNG, frames one below the other.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from llava_cli.media.clip import Clip, Media, MediaInfo, Still
from llava_cli.models.messages import Conversation, ask

_DATA = Path(__file__).parent / "data" / "llava_onevision2.npz"
TOLERANCE = {"merged": 2e-6, "logits": 2e-4}

EXACT, ODD, LARGE = "still_exact/media0", "still_odd/media0", "still_large/media0"
SHOWN, COMPARE = "What is shown in this picture?", "Compare the picture and the video."


@dataclass(frozen=True)
class Frames:
    """A video, as the authors' code was given it."""

    pictures: str
    indices: tuple[int, ...]
    rate: float

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(index / self.rate for index in self.indices)


THREE = Frames("clip3_t0/media0", (0, 13, 27), 12.5)
EIGHT = Frames("clip8_t0/media0", (0, 341, 683, 1024, 1366, 1707, 2049, 2390), 29.97)
TALL = Frames("two_videos_t0/media0", (0, 5, 15), 20)


@dataclass(frozen=True)
class Vector:
    """One prompt of one of the authors' calls."""

    name: str
    question: str
    media: tuple[str | Frames, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def positions(self) -> str:
        """What the vision tower is told of frames."""
        return "index" if self.name.endswith("_tindex") else "zero"

    def seen(self) -> list[Media]:
        return [self._medium(medium) for medium in self.media]

    def conversation(self) -> Conversation:
        return ask(self.question, self.seen())

    def _medium(self, medium: str | Frames) -> Media:
        if isinstance(medium, str):
            (pixels,) = pictures(medium)
            return Still(pixels, MediaInfo("still.png", "image", pixels.shape[1], pixels.shape[0], "png", "pillow"))
        frames = pictures(medium.pictures, len(medium.indices))
        info = MediaInfo("clip.mkv", "video", frames.shape[2], frames.shape[1], "ffv1", "pyav", duration=3.0)
        return Clip(frames, medium.indices, medium.times, info, positions=self.positions)  # type: ignore[arg-type]

    def expected(self) -> dict[str, np.ndarray]:
        with np.load(_DATA) as arrays:
            prefix = f"{self.name}/"
            return {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}


def pictures(name: str, count: int = 1) -> np.ndarray:
    """uint8 [pictures, height, width, 3]."""
    with np.load(_DATA) as arrays:
        below = np.asarray(Image.open(io.BytesIO(arrays[name].tobytes())).convert("RGB"))
    return below.reshape(count, -1, *below.shape[1:])


HAPPENS, TWO = "What happens in this video?", "Compare the two videos."
VECTORS = [
    Vector("still_exact", SHOWN, (EXACT,)),
    Vector("still_odd", SHOWN, (ODD,)),
    Vector("still_large", "Describe the picture briefly.", (LARGE,)),
    *(Vector(f"clip3_{way}", HAPPENS, (THREE,)) for way in ("t0", "tindex")),
    *(Vector(f"clip8_{way}", HAPPENS, (EIGHT,)) for way in ("t0", "tindex")),
    *(Vector(f"image_video_{way}", COMPARE, (ODD, THREE)) for way in ("t0", "tindex")),
    *(Vector(f"two_videos_{way}", TWO, (TALL, THREE)) for way in ("t0", "tindex")),
]
BATCH = [Vector("batch_left_padded", SHOWN, (EXACT,)), Vector("batch_left_padded", HAPPENS, (THREE,))]
"""What the authors' code answered together, padded on the left."""
