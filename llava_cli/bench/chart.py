# SPDX-License-Identifier: Apache-2.0
"""A chart of bars, in groups, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from llava_cli.media.sheet import save

WIDTH, MARGIN, BAR, GAP = 1100, 24, 20, 18
"""Pixels: of the picture, around it, of a bar with its space, between groups."""
_NAMES, _LABELS = 240, 190
"""Pixels for what stands left and right of the bars."""
_LINE = 150
"""Characters of a line below."""
_PAPER, _INK, _FAINT, _WRONG = (255, 255, 255), (30, 30, 34), (130, 130, 138), (196, 62, 52)
_COLOURS = (
    (38, 98, 168), (110, 168, 222), (120, 120, 128), (232, 150, 52), (150, 104, 176), (74, 150, 90), (200, 170, 60),
    (94, 76, 160), (60, 160, 160), (170, 110, 90),
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One figure."""

    name: str
    value: float
    label: str
    """The figure in words."""
    good: bool = True
    """False for one that stands for a wrong result: its label is red."""


@dataclass(frozen=True)
class Chart:
    """Figures to compare, those in a group with each other."""

    title: str
    unit: str
    """What the bars' length means."""
    groups: Sequence[tuple[str, Sequence[Bar]]]


def draw(chart: Chart, about: str, path: Path) -> None:
    """Write a chart as PNG; see `picture`.

    Raises:
        OutputError: it cannot be written.
    """
    save(picture(chart, about), path)


def picture(chart: Chart, about: str) -> Image.Image:
    """The chart, drawn, over what is to be said about it. In each group the longest bar takes what room there is."""
    names = list(dict.fromkeys(bar.name for _, bars in chart.groups for bar in bars))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
    below = textwrap.wrap(about, _LINE)
    height = 3 * MARGIN + 40 + sum((len(bars) + 1) * BAR + GAP for _, bars in chart.groups) + len(below) * BAR
    paper = Image.new("RGB", (WIDTH, height), _PAPER)
    pen = ImageDraw.Draw(paper)
    large, normal = ImageFont.load_default(20), ImageFont.load_default(14)
    pen.text((MARGIN, MARGIN), chart.title, fill=_INK, font=large)
    pen.text((MARGIN, MARGIN + 28), chart.unit, fill=_FAINT, font=normal)
    y, room = 2 * MARGIN + 40, WIDTH - 2 * MARGIN - _NAMES - _LABELS
    for title, bars in chart.groups:
        pen.text((MARGIN, y + BAR / 2), title, fill=_INK, font=normal, anchor="lm")
        y += BAR
        most = max((bar.value for bar in bars), default=0) or 1
        for bar in bars:
            middle, left = y + BAR / 2, MARGIN + _NAMES
            right = left + max(1.0, room * bar.value / most)
            pen.text((left - 8, middle), bar.name, fill=_INK, font=normal, anchor="rm")
            pen.rectangle((left, y + 3, right, y + BAR - 3), fill=colours[bar.name])
            pen.text((right + 8, middle), bar.label, fill=_INK if bar.good else _WRONG, font=normal, anchor="lm")
            y += BAR
        y += GAP
    for line in below:
        pen.text((MARGIN, y + BAR / 2), line, fill=_FAINT, font=normal, anchor="lm")
        y += BAR
    return paper
