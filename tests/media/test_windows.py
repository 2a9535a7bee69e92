# SPDX-License-Identifier: Apache-2.0
"""How videos are divided: by the clock, and at their cuts."""

from __future__ import annotations

from itertools import pairwise

import pytest

from llava_cli.errors import InputError, UsageError
from llava_cli.media.windows import Division, Window, by_clock, by_scenes, division_of


@pytest.mark.parametrize(
    ("length", "every", "lengths"),
    [
        (90.0, 30.0, [30, 30, 30]),
        (100.0, 30.0, [30, 30, 40]),  # less than half of one is left: it joins the one before
        (105.0, 30.0, [30, 30, 30, 15]),
        (5.0, 30.0, [5]),
        (44.9, 30.0, [44.9]),
        (0.3, 0.1, [0.1, 0.1, 0.1]),
    ],
)
def test_windows_follow_each_other_and_a_short_last_one_joins_the_one_before(length, every, lengths):
    spans = by_clock(0.0, length, every)
    assert [end - start for start, end in spans] == pytest.approx(lengths)
    assert (spans[0][0], spans[-1][1]) == (0.0, length)
    assert all(here[1] == pytest.approx(there[0]) for here, there in pairwise(spans))


def test_windows_of_a_part_begin_where_it_does():
    assert by_clock(10.0, 75.0, 30.0) == [(10.0, 40.0), (40.0, 75.0)]


def test_an_overlap_goes_on_into_the_next_window_and_not_beyond_the_end():
    assert by_clock(0.0, 91.0, 30.0, 5.0) == [(0.0, 35.0), (30.0, 65.0), (60.0, 91.0)]


def test_scenes_go_from_cut_to_cut():
    assert by_scenes(0.0, 20.0, [5.0, 12.5]) == [(0.0, 5.0), (5.0, 12.5), (12.5, 20.0)]
    assert by_scenes(6.0, 15.0, [5.0, 12.5, 18.0]) == [(6.0, 12.5), (12.5, 15.0)]


def test_scenes_under_a_second_join_the_one_before():
    assert by_scenes(0.0, 20.0, [0.5, 5.0, 5.2, 5.4, 19.5]) == [(0.0, 5.0), (5.0, 20.0)]
    assert by_scenes(0.0, 0.4, []) == [(0.0, 0.4)]


def test_long_scenes_are_divided_evenly():
    bounds = [start for start, _ in by_scenes(0.0, 30.0, [8.0], 10.0)]
    assert bounds == pytest.approx([0, 8, 8 + 22 / 3, 8 + 44 / 3])
    assert by_scenes(0.0, 30.0, [10.0], 10.0) == [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]


def test_windows_know_their_number_and_how_many_there_are():
    assert Division(every=5.0).over(0.0, 10.0) == [Window(1, 2, 0.0, 5.0), Window(2, 2, 5.0, 10.0)]
    assert Division(scenes=True).over(0.0, 10.0, (4.0,)) == [Window(1, 2, 0.0, 4.0), Window(2, 2, 4.0, 10.0)]
    assert not Division()


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": 30.0, "scenes": True},
        {"every": 0.0},
        {"overlap": 2.0},
        {"every": 2.0, "overlap": 2.0},
        {"every": 5.0, "max_window": 3.0},
        {"scenes": True, "max_window": 0.5},
    ],
)
def test_what_makes_no_sense_together_is_refused(wrong):
    with pytest.raises(UsageError, match=r"--(every|overlap|max-window)"):
        Division(**wrong)


def test_more_windows_than_anyone_means_are_refused():
    with pytest.raises(InputError, match="100000 windows; --every allows longer ones"):
        by_clock(0.0, 3600.0, 0.001)
    with pytest.raises(InputError, match="100000 windows"):
        by_scenes(0.0, 1e9, [], 1.0)


def test_a_job_says_it_in_seconds_or_in_words():
    assert division_of({"media": "a.mp4"}) is None
    assert division_of({"every": "30s", "overlap": 2}) == Division(30.0, 2.0)
    assert division_of({"every": "5m"}) == Division(300.0)
    assert division_of({"scenes": True, "max_window": 20.5}) == Division(scenes=True, max_window=20.5)
    assert division_of({"scenes": False}) == Division()


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": "soon"},
        {"every": True},
        {"every": -1},
        {"scenes": "yes"},
        {"every": 3, "scenes": True},
        {"overlap": 1},
    ],
)
def test_a_job_that_makes_no_sense_is_told_so_in_its_own_keys(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))) as told:
        division_of(wrong)
    assert "--" not in str(told.value)
