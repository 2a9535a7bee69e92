# SPDX-License-Identifier: Apache-2.0
"""Each form of a report has the figures, the machine and the command."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from bench.reports import HOST, REPORT
from PIL import Image

from llava_cli.bench.report import ratio, seconds, times
from llava_cli.errors import OutputError

MACHINE = asdict(HOST) | {"gpus": list(HOST.gpus)}


def test_each_line_of_json_stands_for_itself():
    lines = [json.loads(line) for line in REPORT.lines().splitlines()]
    about = {"schema_version": 1, "bench": "made-up", "command": "llava bench made-up", "machine": MACHINE}
    assert lines == [about | row for row in REPORT.rows]


def test_markdown_is_a_table_under_machine_and_command():
    about, table, note = REPORT.markdown().strip().split("\n\n")
    assert "`llava bench made-up`" in about
    assert str(HOST) in about
    assert table.splitlines() == ["| what | value |", "| --- | ---: |", "| a b | 1.00x |", "| ü | - |"]
    assert note == "How to read it."


def test_a_saved_report_is_three_files(tmp_path):
    REPORT.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made-up.json", "made-up.md", "made-up.png"]
    saved = json.loads((tmp_path / "made-up.json").read_text("utf-8"))
    assert saved["rows"] == REPORT.rows
    assert (saved["machine"], saved["command"], saved["notes"]) == (MACHINE, REPORT.command, REPORT.notes)
    assert (tmp_path / "made-up.md").read_text("utf-8") == REPORT.markdown()
    with Image.open(tmp_path / "made-up.png") as chart:
        chart.verify()


def test_a_report_that_cannot_be_saved_is_told(tmp_path):
    with pytest.raises(OutputError, match=r"made-up\.json"):
        REPORT.save(tmp_path / "none")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0834, "0.08x"), (1, "1.00x"), (9.999, "10.0x"), (12.34, "12.3x"), (1234.5, "1,234x")],
)
def test_a_ratio_in_words(value, text):
    assert times(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.00123, "1.23 ms"), (0.5, "500 ms"), (12.345, "12.35 s")])
def test_seconds_in_words(value, text):
    assert seconds(value) == text


def test_a_ratio_of_what_is_not_known_is_not_known():
    assert ratio(3.0, 1.5) == 2
    assert ratio(None, 1.5) is ratio(3.0, None) is ratio(3.0, 0.0) is None
