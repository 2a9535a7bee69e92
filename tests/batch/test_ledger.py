# SPDX-License-Identifier: Apache-2.0
"""The ledger: append-only, whole lines, no work twice, nothing lost that was there."""

from __future__ import annotations

import pytest
from batch.stub import filled, name, record

from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.errors import OutputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


def test_what_is_written_is_known_again(path):
    filled(path, record(1), record(2, "error"))
    ledger = Ledger(path)
    assert [ledger.find(name(number)) is not None for number in (1, 2, 3)] == [True, True, False]
    assert ledger.done(record(1)["key"]) == record(1)
    assert ledger.done(record(2)["key"]) is None  # an error is no answer to copy
    assert ledger.read(ledger.find(name(2)).offset) == record(2, "error")


def test_no_folder_and_no_device(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "ledger", "/dev/null"):
        with pytest.raises(OutputError):
            Ledger(type(tmp_path)(path))


def test_where_no_file_keeps_records_those_of_this_run_are_known():
    ledger = MemoryLedger()
    assert ledger.claim([name(1)]) == {name(1)}
    ledger.append(record(1))
    ledger.append(record(2, "error"))
    assert [ledger.find(name(number)) and ledger.find(name(number)).ok for number in (1, 2, 3)] == [True, False, None]
    assert ledger.done(record(1)["key"]) is None
    with pytest.raises(LookupError):
        ledger.read(0)
    ledger.close()


def test_a_lock_that_another_process_keeps_is_not_waited_for_for_ever(path, monkeypatch):
    ledger = Ledger(path)
    monkeypatch.setattr("llava_cli.batch.ledger._PATIENCE_S", 0.1)
    with ledger._lock, pytest.raises(OutputError, match="another process keeps its lock"):
        Ledger(path)
