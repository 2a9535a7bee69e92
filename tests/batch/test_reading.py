# SPDX-License-Identifier: Apache-2.0
"""A ledger read back: of each job the record that counts, and nothing of the file is touched."""

from __future__ import annotations

import pytest
from batch.stub import record
from batch.writers.said import in_windows, of_all

from llava_cli.batch.reading import by_file, records_of
from llava_cli.errors import InputError
from llava_cli.record import to_json


def written(path, *records) -> list[dict]:
    path.write_text("".join(to_json(one) + "\n" for one in records))
    return list(records_of(path))


def test_of_several_records_of_a_job_the_last_counts_and_no_failure_after_an_answer(tmp_path):
    first, failed = record(1, label="first"), record(1, "error")
    again, other, failure = record(1, label="again"), record(2, "error", label="old"), record(2, "error", label="new")
    found = written(tmp_path / "x", failed, first, other, again, failed, failure)
    assert [(one["id"], one.get("label")) for one in found] == [("id-1", "again"), ("id-2", "new")]


def test_half_a_line_at_the_end_is_left_as_it_is(tmp_path):
    path = tmp_path / "x"
    path.write_text(to_json(record(1)) + "\n\n" + to_json(record(2))[:40])
    before = path.read_bytes()
    assert [one["id"] for one in records_of(path)] == ["id-1"]
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_records_about_a_file_are_together_wherever_they_stand():
    windows, other = in_windows("A.", "B."), of_all("C.", "c.mp4")
    assert list(by_file([windows[0], other, windows[1], {"media": []}])) == [windows, [other]]


@pytest.mark.parametrize("content", ["words\n", "[1]\n", '{"id": 1}\n', "[" * 10000 + "\n"])
def test_what_is_no_ledger_is_told(content, tmp_path):
    (tmp_path / "x").write_text(content)
    with pytest.raises(InputError, match="is no ledger"):
        list(records_of(tmp_path / "x"))
    with pytest.raises(InputError, match="cannot be read"):
        list(records_of(tmp_path / "none"))
