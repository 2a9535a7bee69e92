# SPDX-License-Identifier: Apache-2.0
"""A video whose truth is known at each time: clips of the demo checkpoint's world, one after the other."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from llava_cli.demo import language
from llava_cli.demo.draw import render
from llava_cli.demo.world import Background, ClipSpec, Shape

RATE, SECONDS = 24, 3.0
GREY = Background("grey", (196, 196, 196), (170, 170, 170), "rows")
WHITE = Background("white", (250, 250, 250), (238, 238, 238), "rows")
BLACK = Background("black", (14, 14, 14), (6, 6, 6), "rows")

SCENES = (
    ClipSpec(GREY, (Shape("circle", "red", (215, 25, 30), ("right",), ((0.22, 0.45), (0.78, 0.45)), (0.15, 0.15)),)),
    ClipSpec(BLACK, (Shape("star", "yellow", (250, 220, 30), ("down",), ((0.5, 0.25), (0.5, 0.75)), (0.16, 0.16)),)),
    ClipSpec(WHITE, (Shape("square", "blue", (25, 60, 215), ("up",), ((0.5, 0.78), (0.5, 0.22)), (0.15, 0.15)),)),
)
TRUE = tuple(map(language.describe, SCENES))
"""What is true of each scene, in the demo checkpoint's words."""
QUESTION = "Describe the video."


def write(path: Path, scenes: int = 3, slow: bool = False) -> None:
    """Write scenes of SECONDS each, as H.264; `slow` has all but the first at half the frames a second."""
    count = round(SECONDS * RATE)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(scenes):
            frames = render(SCENES[number % len(SCENES)], [i / count for i in range(count)], 320, 240)
            for index in range(0, count, 2 if slow and number else 1):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frames[index]), "rgb24")
                frame.pts, frame.time_base = number * count + index, Fraction(1, RATE)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
