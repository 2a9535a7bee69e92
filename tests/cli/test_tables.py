# SPDX-License-Identifier: Apache-2.0
"""Tables: each column as wide as it has to be, and no spaces at the ends of lines."""

from __future__ import annotations

from llava_cli.cli.tables import table

ROWS = [["NAME", "frames"], ["demo", "8"], ["onevision-7b", "32"]]


def test_numbers_stand_under_each_other():
    assert table(ROWS).splitlines() == [
        "        NAME  frames",
        "        demo       8",
        "onevision-7b      32",
    ]


def test_words_begin_under_each_other_and_lines_end_with_their_last():
    assert table(ROWS, str.ljust, indent="  ").splitlines() == [
        "  NAME          frames",
        "  demo          8",
        "  onevision-7b  32",
    ]


def test_columns_may_have_a_least_width():
    assert table([["a", "b"]], least=4) == "   a     b\n"


def test_no_cell_does_anything_or_begins_a_line():
    assert table([("name",), ("a\nb\x1b[31m\u202e",)], str.ljust) == "name\na\\nb\\x1b[31m\\u202e\n"
