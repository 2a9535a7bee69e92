# SPDX-License-Identifier: Apache-2.0
"""Answers that repeat themselves, and prose that only seems to."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.loops import repeats_itself

PROSE = " ".join(
    paragraph
    for paragraph in (Path(__file__).parents[1] / "README.md").read_text("utf-8").split("\n\n")
    if not paragraph.startswith(("```", "|"))
)


@pytest.mark.parametrize(
    "text",
    [
        "The man walks. " * 6,
        "A cat sits on a mat. " + "It looks at the camera and then " * 3,
        "a red ball a red ball a red ball a red ball",
        "\u4ed6\u8d70\u4e86\u3002" * 12,
        "no" * 40,
        " ".join(f"The man walks to the {n % 3}. He sits. He walks." for n in range(20)),
        PROSE[:3000] + " and so on" * 40,
        "Go on and on and on. " * 30 + PROSE[:1200],  # in the middle of a text
    ],
)
def test_loops(text):
    assert repeats_itself(text)


@pytest.mark.parametrize(
    "text",
    ["", "No.", "No. No. No.", "He laughs: ha ha ha ha.", "A man, a plan, a canal.", PROSE, PROSE[:900], "1 2 3 4 5 6"],
)
def test_prose(text):
    assert not repeats_itself(text)
