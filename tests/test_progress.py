# SPDX-License-Identifier: Apache-2.0
"""Stages: each begins with nothing done and ends with all, whatever happens in between."""

from __future__ import annotations

import pytest

from llava_cli.progress import stage


def test_a_stage_begins_counts_and_ends():
    told = []
    with stage(lambda *how_far: told.append(how_far), "counting", 3) as tell:
        for count in (1, 2, 3, 4):
            tell(count)
    assert told == [("counting", 0, 3), *(("counting", count, 3) for count in (1, 2, 2, 2)), ("counting", 3, 3)]


def test_a_stage_that_fails_ends_too():
    told = []
    with pytest.raises(ZeroDivisionError), stage(lambda *how_far: told.append(how_far), "dividing"):
        raise ZeroDivisionError
    assert told == [("dividing", 0, 1), ("dividing", 1, 1)]
