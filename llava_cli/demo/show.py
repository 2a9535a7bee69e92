# SPDX-License-Identifier: Apache-2.0
"""What `llava demo` shows: one clip and one still, and questions whose true answers are known."""

from __future__ import annotations

from pathlib import Path

from llava_cli.demo import language
from llava_cli.demo.draw import render_clip, render_still
from llava_cli.demo.world import Background, ClipSpec, Shape

_GROUND = Background("grey", (196, 196, 196), (170, 170, 170), "rows")

CLIP = ClipSpec(
    _GROUND,
    (Shape("circle", "red", (215, 25, 30), ("right",), path=((0.22, 0.45), (0.78, 0.45)), radii=(0.15, 0.15)),),
)
STILL = ClipSpec(
    _GROUND,
    (
        Shape("square", "blue", (25, 60, 215), ("still",), path=((0.3, 0.35),) * 2, radii=(0.14, 0.14)),
        Shape("star", "yellow", (250, 220, 30), ("still",), path=((0.68, 0.65),) * 2, radii=(0.15, 0.15)),
    ),
)

CLIP_QUESTIONS = (
    ("What shape is it?", language.kind(CLIP.shapes[0])),
    ("What colour is it?", language.colour(CLIP.shapes[0])),
    ("Which way does the circle move?", language.motion(CLIP.shapes[0])),
    ("How many shapes are there?", language.count(CLIP)),
    ("What happens at the end?", language.last(CLIP)),
    ("Describe the video.", language.describe(CLIP)),
    ("Why is this video funny?", language.outside(CLIP)),
)
"""Questions about `CLIP` and their true answers."""
STILL_QUESTIONS = (
    ("Which shapes are there?", language.shapes(STILL)),
    ("What colour is the star?", language.colour(STILL.shapes[1])),
    ("Describe the image.", language.describe(STILL, still=True)),
)
"""Questions about `STILL` and their true answers."""


def write_clip(path: Path) -> None:
    """Write `CLIP` as an H.264 MP4: three seconds, 320 x 240."""
    render_clip(CLIP, path)


def write_still(path: Path) -> None:
    """Write `STILL` as an image, in the format that the suffix names."""
    render_still(STILL, path)
