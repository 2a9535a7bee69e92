# SPDX-License-Identifier: Apache-2.0
"""Figures beside their floors: which way is better depends on what is counted."""

from __future__ import annotations

import pytest

from llava_cli.bench.stages import HEAD, Stage, chart, figure


def test_of_times_and_memory_less_is_better():
    stage = Stage("a token", "s", 0.006, 0.004, 0.024)
    assert (stage.over_floor, stage.gain) == (pytest.approx(1.5), pytest.approx(4))
    assert Stage("memory", "bytes", 3.0, 2.0, 6.0).gain == 2


def test_of_tokens_a_second_more_is_better():
    stage = Stage("tokens", "tokens/s", 200.0, 300.0, 50.0)
    assert (stage.over_floor, stage.gain) == (1.5, 4)


def test_what_is_not_known_is_left_open():
    stage = Stage("decode", "s", 0.1)
    assert stage.cells() == ["decode", "100 ms", "-", "-", "-", "-"]
    assert len(stage.cells()) == len(HEAD)
    assert stage.row() == {
        "stage": "decode", "unit": "s", "llava": 0.1, "floor": None, "transformers": None, "over_floor": None,
        "gain": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (1234.5, "tokens/s", "1,234 a second"),
        (3 << 29, "bytes", "1.50 GiB"),
        (None, "s", "-"),
    ],
)
def test_figures_in_words(value, unit, text):
    assert figure(value, unit) == text


def test_a_chart_shows_what_is_known():
    drawn = chart("Title", [Stage("decode", "s", 0.1), Stage("a token", "s", 0.2, 0.1, 0.4)])
    assert [(title, [bar.name for bar in bars]) for title, bars in drawn.groups] == [
        ("decode", ["llava"]),
        ("a token", ["llava", "floor", "transformers"]),
    ]
