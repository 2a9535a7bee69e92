# SPDX-License-Identifier: Apache-2.0
"""Bars are as long as their figures, and wrong results are red."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from llava_cli.bench import chart
from llava_cli.bench.chart import Bar, Chart, draw, picture


def columns(drawn: Image.Image, colour: tuple[int, int, int]) -> int:
    """How wide what has a colour is."""
    found = np.argwhere((np.asarray(drawn) == colour).all(axis=-1))
    return int(np.ptp(found[:, 1]) + 1) if len(found) else 0


def drawn(*groups: list[Bar], about: str = "") -> Image.Image:
    return picture(Chart("Title", "seconds", [("group", bars) for bars in groups]), about)


def test_bars_are_as_long_as_their_figures():
    shown = drawn([Bar("a", 4.0, "4"), Bar("b", 1.0, "1")])
    long, short = (columns(shown, colour) for colour in chart._COLOURS[:2])
    assert long > 400
    assert short == pytest.approx(long / 4, abs=2)


def test_each_group_has_its_own_scale_and_a_name_its_colour():
    shown = drawn([Bar("a", 4.0, "4"), Bar("b", 1.0, "1")], [Bar("b", 1000.0, "1000")])
    assert columns(shown, chart._COLOURS[0]) == columns(shown, chart._COLOURS[1])


def test_the_label_of_a_wrong_result_is_red():
    assert columns(drawn([Bar("a", 1.0, "1", good=False)]), chart._WRONG)
    assert not columns(drawn([Bar("a", 1.0, "1")]), chart._WRONG)


def test_what_is_to_be_said_stands_below_in_lines_that_fit():
    short, long = drawn([Bar("a", 1.0, "1")]), drawn([Bar("a", 1.0, "1")], about="words and " * 60)
    assert long.width == short.width
    assert long.height > short.height
    below = np.asarray(long)[short.height :]
    assert (below[:, -chart.MARGIN // 2 :] == 255).all()
    assert (below < 255).any()


def test_charts_of_nothing_can_be_drawn(tmp_path):
    draw(Chart("Title", "seconds", [("group", []), ("another", [Bar("a", 0.0, "0")])]), "", tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as shown:
        assert shown.width == chart.WIDTH
