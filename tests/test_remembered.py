# SPDX-License-Identifier: Apache-2.0
"""What was found out once is not found out again, unless it may have changed, or cannot be read."""

from __future__ import annotations

import pytest

from llava_cli.remembered import remembered


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "llava" / "things"


def test_it_is_found_out_once_for_all_that_it_depends_on():
    found = [remembered("things", about, lambda about=about: [*about, None]) for about in (["a", "1"], ["a", "2"])]
    assert found == [["a", "1", None], ["a", "2", None]]
    assert [remembered("things", about, pytest.fail) for about in (["a", "1"], ["a", "2"])] == found


def test_the_first_answer_is_like_the_later_ones():
    first = remembered("things", [None], lambda: {"x": (1, 2)})
    assert first == remembered("things", [None], pytest.fail) == {"x": [1, 2]}


@pytest.mark.parametrize("kept", [b"", b"[]", b"{}", b"\xff", b'{"about": 1, "known": 2}'])
def test_what_is_kept_wrongly_is_found_out_again(folder, kept):
    remembered("things", ["a"], lambda: 1)
    (file,) = folder.iterdir()
    file.write_bytes(kept)
    assert remembered("things", ["a"], lambda: 2) == 2
    assert remembered("things", ["a"], pytest.fail) == 2


def test_where_nothing_can_be_kept_it_is_found_out_each_time(folder):
    folder.parent.write_text("a file, and no folder")
    assert [remembered("things", ["a"], lambda number=number: number) for number in (1, 2)] == [1, 2]


def test_an_error_is_not_remembered():
    with pytest.raises(ZeroDivisionError):
        remembered("things", ["a"], lambda: 1 / 0)
    assert remembered("things", ["a"], lambda: 1) == 1
