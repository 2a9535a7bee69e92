# SPDX-License-Identifier: Apache-2.0
"""Records that come a window at a time are handed on when all of a file are there."""

from __future__ import annotations

from batch.writers.said import in_windows, of_all, summed_up

from llava_cli.batch.writers.gathered import Gathered


def test_windows_are_held_until_the_last_has_come_whatever_their_order():
    gathered, windows = Gathered(), in_windows("A.", None, "C.")
    other = in_windows("X.", path="other.mp4")
    assert gathered.with_these([(windows[2], True)]) == ()
    assert [record["answer"] for record, _ in gathered.with_these([(other[0], True)])] == ["X."]
    assert gathered.with_these([(windows[0], False)]) == ()
    whole = gathered.with_these([(windows[1], True)])
    assert [record["window"]["number"] for record, _ in whole] == [3, 1, 2]
    assert [new for _, new in whole] == [True, False, True]
    assert gathered.rest() == []


def test_what_is_about_all_of_a_file_is_not_held():
    records = [(of_all("A."), True)]
    assert Gathered(summary=True).with_these(records) == records
    assert Gathered().with_these([]) == []


def test_where_a_summary_is_wanted_it_is_waited_for_once_for_each_question():
    gathered, windows = Gathered(summary=True), in_windows("A.", "B.")
    also = in_windows("X.", "Y.", question="Who?")
    assert gathered.with_these([(record, True) for record in (*windows, *also)]) == ()
    assert gathered.with_these([(summed_up("All."), True)]) == ()
    assert len(gathered.with_these([(summed_up("All.", question="Who?"), True)])) == 6
    failed = in_windows(None, None, path="b.mp4")
    assert len(gathered.with_these([(record, True) for record in failed])) == 2


def test_what_is_left_is_of_others():
    gathered = Gathered()
    gathered.with_these([(in_windows("A.", "B.")[0], True)])
    assert [len(records) for records in gathered.rest()] == [1]
