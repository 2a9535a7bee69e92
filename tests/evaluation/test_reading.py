# SPDX-License-Identifier: Apache-2.0
"""Which option a generated answer means: what models write, and what must not be taken for a letter."""

from __future__ import annotations

import pytest

from llava_cli.evaluation.reading import letter_meant, text_meant

OPTIONS = ("A man walks", "A dog barks", "Nobody is there", "A dog barks twice")


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("B", 1), (" b", None), ("B.", 1), ("(C)", 2), ("C) Nobody", 2), ("B. A dog barks", 1), ("**D**", 3),
        ("A\nbecause he walks", 0), ("The answer is B.", 1), ("Answer: (D)", 3), ("Option C is right", 2),
        ("A man walks", 0), ("a man walks.", 0), ("A man sits", None), ("E", None), ("", None), ("I see.", None),
        ("Nobody is there, I think", 2), ("A dog barks", 1),
    ],
)  # fmt: skip
def test_letters(said, place):
    assert letter_meant(said, OPTIONS) == place


@pytest.mark.parametrize(
    ("said", "options", "place"),
    [
        ("The circle is red.", ("The circle is blue.", "The circle is red."), 1),
        ("the  Circle is RED", ("The circle is blue.", "The circle is red."), 1),
        ("I think that the circle is red, yes", ("The circle is blue.", "The circle is red."), 1),
        ("It is blue or red.", ("blue", "red"), None),
        ("It is coloured.", ("red", "blue"), None),
        ("yes", ("yes", "yes, twice"), 0),
        ("It moves (a bit)", ("moves (a bit)", "stays"), 0),
    ],
)
def test_texts(said, options, place):
    assert text_meant(said, options) == place
