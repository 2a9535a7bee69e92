# SPDX-License-Identifier: Apache-2.0
"""Claims live as long as their process. With a ledger, and with processes that are killed: test_contract.py."""

from __future__ import annotations

import pytest

from llava_cli.batch.claims import Claims

ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "claims"


def test_others_see_what_is_in_hand_and_not_their_own(folder):
    ours, theirs = Claims(folder), Claims(folder)
    ours.add([ONE])
    theirs.add([TWO])
    assert (ours.of_others(), theirs.of_others()) == ({TWO}, {ONE})
    ours.drop(ONE)
    ours.add([TWO])
    assert theirs.of_others() == {TWO}


def test_nothing_is_left_once_all_have_closed(folder):
    ours, theirs = Claims(folder), Claims(folder)
    ours.add([ONE])
    ours.close()
    assert theirs.of_others() == set()
    theirs.close()
    assert not folder.exists()


def test_half_a_line_of_a_killed_process_is_no_claim(folder):
    ours, theirs = Claims(folder), Claims(folder)
    theirs.add([ONE])
    with theirs._file.open("a") as file:
        file.write(TWO.hex()[:9])
    assert ours.of_others() == {ONE}
