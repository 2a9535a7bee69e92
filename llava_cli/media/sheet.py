# SPDX-License-Identifier: Apache-2.0
"""A contact sheet: every frame in a grid, with its index and time, to see what a model was shown."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from llava_cli.atomic import write_file
from llava_cli.errors import OutputError, UsageError
from llava_cli.media.clip import Clip, Still
from llava_cli.media.sampling import clock
from llava_cli.texts import printable

GAP = 6
LABEL_HEIGHT = 22
FONT_SIZE = 15
LEGIBLE_WIDTH, WIDEST = 168, 640
"""Frames are brought between these: a label fits under the first, a sheet of the second fits in memory."""
TITLE_HEIGHT = 24
SCREEN = 16 / 9
"""Width by height that a sheet comes near to."""
QUALITY = 90
FORMATS = {"": "PNG", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Formats of sheets by the suffix of the file."""
BACKGROUND, LABEL, INK = (24, 24, 24), (0, 0, 0), (255, 255, 255)


def draw_sheet(media: Clip | Still, columns: int | None = None, widest: int = WIDEST) -> Image.Image:
    """The frames, at most `columns` in a row, each over a dark strip with its index and time.

    Without `columns`, rows are as long as makes the sheet about as wide as a screen. Small frames are enlarged in
    whole steps, so that each of their pixels can be seen; those that are wider than `widest` pixels are reduced to
    that.
    """
    if isinstance(media, Still):
        frames, labels = media.pixels[None], [f"{media.info.width}x{media.info.height}"]
    else:
        frames = media.frames
        labels = [f"#{index}  {clock(time)}" for index, time in zip(media.indices, media.times, strict=True)]
    factor = max(1, -(-LEGIBLE_WIDTH // frames.shape[2])) if frames.shape[2] <= widest else widest / frames.shape[2]
    width, height = round(frames.shape[2] * factor), max(1, round(frames.shape[1] * factor))
    resample = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BICUBIC
    step_x, step_y = width + GAP, height + LABEL_HEIGHT + GAP
    columns = _columns(len(frames), step_x / step_y) if columns is None else max(1, min(columns, len(frames)))
    rows = -(-len(frames) // columns)
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


def _columns(count: int, shape: float) -> int:
    """How many frames of a shape (width / height) go into a row: the sheet is like a screen, few places stay empty."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        return abs(math.log(columns * shape / rows / SCREEN)) + (columns * rows - count) / count

    return min(range(1, count + 1), key=cost)


def draw_sheets(media: Sequence[Clip | Still], columns: int | None = None) -> Image.Image:
    """The sheets of several media, one below the other, each under the name of its file."""
    sheets = [draw_sheet(medium, columns) for medium in media]
    if len(sheets) == 1:
        return sheets[0]
    size = max(sheet.width for sheet in sheets), sum(sheet.height + TITLE_HEIGHT for sheet in sheets)
    together = Image.new("RGB", size, BACKGROUND)
    draw, font, y = ImageDraw.Draw(together), ImageFont.load_default(FONT_SIZE), 0
    for medium, sheet in zip(media, sheets, strict=True):
        title = _cut(medium.info.path, lambda text: draw.textlength(text, font) <= size[0] - 2 * GAP)
        draw.text((GAP, y + TITLE_HEIGHT // 2 + GAP // 2), title, fill=INK, font=font, anchor="lm")
        together.paste(sheet, (0, y + TITLE_HEIGHT))
        y += TITLE_HEIGHT + sheet.height
    return together


def _cut(path: str, fits: Callable[[str], bool]) -> str:
    """A file's name in one line, and as much of its end as fits."""
    text = " ".join(printable(path).split())
    for start in range(len(text)):
        cut = text if start == 0 else "…" + text[start:]
        if fits(cut):
            return cut
    return ""


def contact_sheet(
    media: Clip | Still | Sequence[Clip | Still], path: str | os.PathLike[str], columns: int | None = None
) -> None:
    """Write the sheet of `media` to `path`, whole or not at all, in the format that its suffix names.

    Raises:
        UsageError: the suffix is of another format.
        OutputError: it cannot be written.
    """
    target = Path(path)
    kind = format_of(target)
    save(draw_sheets([media] if isinstance(media, Clip | Still) else media, columns), target, kind)


def format_of(path: Path) -> str:
    """The format that a file's suffix names; without one, PNG.

    Raises:
        UsageError: it is none that sheets are written in.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: must end in {', '.join(filter(None, FORMATS))}")
    return kind


def save(picture: Image.Image, target: Path, kind: str = "PNG") -> None:
    """Write a picture, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    data = io.BytesIO()
    try:
        picture.save(data, format=kind, quality=QUALITY)
    except (OSError, ValueError) as error:  # more pixels in a row than the format allows
        raise OutputError(
            f"{target}: {picture.width}x{picture.height} pixels are too many for {kind}; try .png"
        ) from error
    write_file(target, data.getvalue())
