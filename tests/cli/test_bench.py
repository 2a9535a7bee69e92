# SPDX-License-Identifier: Apache-2.0
"""`llava bench` answers the same questions both ways, and says how long each took."""

from __future__ import annotations

import re


def test_both_roads_say_the_same_about_the_same_pixels(llava, tiny):
    result = llava("bench", "--clips", "2", "-m", tiny, "--dtype", "float32", "--max-new-tokens", "16", "-n", "4")
    assert result.code == 0, result.err
    assert result.out.startswith("2 clips, 6 questions")
    assert re.search(r"plain loop +[\d.]+ s +[\d.]+ a second\nbatch +[\d.]+ s", result.out)
    assert "the same text for 6 of 6" in result.out
