# SPDX-License-Identifier: Apache-2.0
"""How much processor time exact pixels cost beside fast ones, decoding included.

`python tests/media/measure_pixels.py` renders a minute in 1080p and a quarter of one in 4K, with a keyframe every 250
frames and every 30, and reads each in the views of two families, by turns in both ways. It takes a quarter of an hour.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from llava_cli.media import Sampling, View, load_media
from llava_cli.media.clip import Pixels

SIZES = {"1080p": (1920, 1080, 1500), "4K": (3840, 2160, 375)}
"""Width, height and frames."""
GROUPS = (250, 30)
RATE = 25
VIEWS = {"crop to 336": View((336, 336), "crop", Sampling()), "squash to 384": View((384, 384), "squash", Sampling())}
COUNTS = (8, 32)
RUNS = 5


def texture(width: int, height: int) -> np.ndarray:
    """Return uint8 [height, width, 3] with structures of all sizes, the larger the stronger, as in photographs."""
    luck = np.random.default_rng(0)
    total = np.full((height, width, 3), 128.0)
    for size, strength in ((256, 60), (64, 30), (16, 15), (4, 8)):
        grid = luck.integers(0, 256, (height // size + 2, width // size + 2, 3), dtype=np.uint8)
        smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(smooth) / 255 - 0.5) * strength * 2
    return total.clip(0, 255).astype(np.uint8)


def render(path: Path, width: int, height: int, length: int, group: int) -> None:
    """Write a clip: a camera that pans over a texture, in which a square moves on its own, with some grain."""
    margin = height // 4
    ground = texture(width + 2 * margin, height + 2 * margin)
    square = texture(margin, margin)[:, :, ::-1]
    luck = np.random.default_rng(1)
    grain = luck.normal(0, 2, (height + 64, width + 64, 1)).astype(np.int8)
    with av.open(str(path), "w") as output:
        options = {"g": str(group), "keyint_min": str(group), "sc_threshold": "0", "preset": "veryfast", "crf": "23"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(length):
            x, y = (int(margin * (1 + turn(index / 90))) for turn in (np.sin, np.cos))
            shot = ground[y : y + height, x : x + width].copy()
            left = int((width - margin) * (0.5 + 0.5 * np.sin(index / 25)))
            shot[margin : 2 * margin, left : left + margin] = square
            down, right = luck.integers(0, 64, 2)
            shot = (shot + grain[down : down + height, right : right + width].astype(np.int16)).clip(0, 255)
            frame = av.VideoFrame.from_ndarray(shot.astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def seconds(path: Path, view: View, frames: int, pixels: Pixels) -> float:
    """Return the processor time of reading a clip once."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    load_media(path, View(view.size, view.fit, Sampling(frames=frames), pixels=pixels), threads=1)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Render, read and print a line for each clip, view and number of frames."""
    print("clip    keyframe every  view           frames  fast ms a frame  exact  ratio")
    with tempfile.TemporaryDirectory() as folder:
        for size, (width, height, length) in SIZES.items():
            for group in GROUPS:
                path = Path(folder) / "clip.mp4"
                render(path, width, height, length, group)
                for name, view in VIEWS.items():
                    for frames in COUNTS:
                        runs = [[seconds(path, view, frames, way) for way in ("fast", "exact")] for _ in range(RUNS)]
                        fast, exact = (statistics.median(times) * 1000 / frames for times in zip(*runs, strict=True))
                        print(
                            f"{size:<7} {group:>14}  {name:<13}  {frames:>6}  {fast:>15.1f}  {exact:>5.1f}"
                            f"  {exact / fast:>5.2f}",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
