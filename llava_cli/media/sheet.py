# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: every frame in a grid, with its index and time, to see what a model was shown."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from llava_cli.media.clip import Clip, Still
from llava_cli.media.sampling import clock

GAP = 6
LABEL_HEIGHT = 22
FONT_SIZE = 15
LEGIBLE_WIDTH = 168
"""Frames narrower than this are enlarged, in whole steps so that each pixel stays visible, until a label fits."""
BACKGROUND, LABEL, INK = (24, 24, 24), (0, 0, 0), (255, 255, 255)


def draw_sheet(media: Clip | Still, columns: int = 4) -> Image.Image:
    """Return the frames, at most `columns` in a row, each over a dark strip with its index and time."""
    if isinstance(media, Still):
        frames, labels = media.pixels[None], [f"{media.info.width}x{media.info.height}"]
    else:
        frames = media.frames
        labels = [f"#{index}  {clock(time)}" for index, time in zip(media.indices, media.times, strict=True)]
    factor = max(1, -(-LEGIBLE_WIDTH // frames.shape[2]))
    width, height = frames.shape[2] * factor, frames.shape[1] * factor
    columns = max(1, min(columns, len(frames)))
    rows = -(-len(frames) // columns)
    step_x, step_y = width + GAP, height + LABEL_HEIGHT + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for place, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + place // columns * step_y
        picture = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(picture, (x, y))
        draw.rectangle((x, y + height, x + width - 1, y + height + LABEL_HEIGHT - 1), fill=LABEL)
        draw.text((x + 4, y + height + LABEL_HEIGHT // 2), label, fill=INK, font=font, anchor="lm")
    return sheet


def contact_sheet(media: Clip | Still, path: str | os.PathLike[str], columns: int = 4) -> None:
    """Write the sheet of `media` as PNG to `path`, whole or not at all. Raises OSError where that fails."""
    target = Path(path)
    sheet = draw_sheet(media, columns)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:32]}-", delete=False) as part:
        try:
            sheet.save(part, format="PNG")
            part.flush()
            Path(part.name).chmod(0o666 & ~_umask())
            Path(part.name).replace(target)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it; temporary files ignore it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
