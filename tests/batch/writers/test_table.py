# SPDX-License-Identifier: Apache-2.0
"""What a table says. That it is whole or not at all is in test_report.py, for both."""

from __future__ import annotations

import csv

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


def test_failures_and_several_media_are_rows_too(tmp_path):
    error = {"id": 2, "status": "error", "media": [], "question": "", "error": {"code": "job", "message": "is bad"}}
    two, failed = rows_of(tmp_path, RECORD | {"media": [{"path": "a"}, {"path": "b"}]}, error)
    assert tuple(two) == COLUMNS
    assert two["media"] == '["a", "b"]'
    assert (failed["status"], failed["media"], failed["answer"], failed["error"]) == ("error", "", "", "is bad")
