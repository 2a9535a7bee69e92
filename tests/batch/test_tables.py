# SPDX-License-Identifier: Apache-2.0
"""Tables and reports are there whole or not at all, and what models say is text in them."""

from __future__ import annotations

import csv

import pytest

from llava_cli.batch.report import Report
from llava_cli.batch.tables import CsvFile

NASTY = '<script>alert("x")</script>, "quoted"\nand\udcff more'
RECORD = {"id": 1, "status": "ok", "media": [{"path": NASTY}], "question": NASTY, "answer": NASTY}


@pytest.mark.parametrize("kind", [CsvFile, Report])
def test_nothing_is_there_before_it_is_closed_or_after_it_failed(tmp_path, kind):
    path = tmp_path / "out"
    path.write_text("before")
    sink = kind(path)
    sink.put([(RECORD, True)], [])
    sink.discard()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    sink = kind(path)
    sink.close()
    sink.discard()
    assert path.read_text() != "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_model_says_is_text(tmp_path):
    report, table = Report(tmp_path / "r.html"), CsvFile(tmp_path / "t.csv")
    for sink in (report, table):
        sink.put([(RECORD, True)], [])
        sink.close()
    page = (tmp_path / "r.html").read_text()
    assert page.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;alert" in page
    with (tmp_path / "t.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["answer"] == NASTY.replace("\udcff", "\\udcff")
