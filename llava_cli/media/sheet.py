# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: every frame in a grid, with its index and time, to see what a model was shown."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from llava_cli.atomic import write_file
from llava_cli.media.clip import Clip, Still
from llava_cli.media.sampling import clock

GAP = 6
LABEL_HEIGHT = 22
FONT_SIZE = 15
LEGIBLE_WIDTH, WIDEST = 168, 640
"""Frames are brought between these: a label fits under the first, a sheet of the second fits in memory."""
BACKGROUND, LABEL, INK = (24, 24, 24), (0, 0, 0), (255, 255, 255)


def draw_sheet(media: Clip | Still, columns: int = 4, widest: int = WIDEST) -> Image.Image:
    """The frames, at most `columns` in a row, each over a dark strip with its index and time.

    Small frames are enlarged in whole steps, so that each of their pixels can be seen; those that are wider than
    `widest` pixels are reduced to that.
    """
    if isinstance(media, Still):
        frames, labels = media.pixels[None], [f"{media.info.width}x{media.info.height}"]
    else:
        frames = media.frames
        labels = [f"#{index}  {clock(time)}" for index, time in zip(media.indices, media.times, strict=True)]
    factor = max(1, -(-LEGIBLE_WIDTH // frames.shape[2])) if frames.shape[2] <= widest else widest / frames.shape[2]
    width, height = round(frames.shape[2] * factor), max(1, round(frames.shape[1] * factor))
    resample = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BICUBIC
    columns = max(1, min(columns, len(frames)))
    rows = -(-len(frames) // columns)
    step_x, step_y = width + GAP, height + LABEL_HEIGHT + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for place, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + place // columns * step_y
        picture = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), resample)
        sheet.paste(picture, (x, y))
        draw.rectangle((x, y + height, x + width - 1, y + height + LABEL_HEIGHT - 1), fill=LABEL)
        draw.text((x + 4, y + height + LABEL_HEIGHT // 2), label, fill=INK, font=font, anchor="lm")
    return sheet


def draw_sheets(media: Sequence[Clip | Still], columns: int = 4) -> Image.Image:
    """The sheets of several media, one below the other."""
    sheets = [draw_sheet(medium, columns) for medium in media]
    if len(sheets) == 1:
        return sheets[0]
    all_of_them = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), BACKGROUND)
    y = 0
    for sheet in sheets:
        all_of_them.paste(sheet, (0, y))
        y += sheet.height
    return all_of_them


def contact_sheet(media: Clip | Still | Sequence[Clip | Still], path: str | os.PathLike[str], columns: int = 4) -> None:
    """Write the sheet of `media` as PNG to `path`, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    save_png(draw_sheets([media] if isinstance(media, Clip | Still) else media, columns), Path(path))


def save_png(picture: Image.Image, target: Path) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    data = io.BytesIO()
    picture.save(data, format="PNG")
    write_file(target, data.getvalue())
