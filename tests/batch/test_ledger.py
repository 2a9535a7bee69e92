# SPDX-License-Identifier: Apache-2.0
"""The ledger: append-only, whole lines, no work twice, nothing lost that was there."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llava_cli.batch.identity import identity
from llava_cli.batch.ledger import Ledger
from llava_cli.errors import OutputError


def record(number: int, status: str = "ok", **more: object) -> dict:
    key = f"{number:032x}{number:032x}"
    return {"schema_version": 1, "id": f"id-{number}", "status": status, "key": key, "media": [{"path": "a"}], **more}


def name(number: int) -> bytes:
    return identity(f"{number:032x}{number:032x}", f"id-{number}", ["a"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


def filled(path, *records) -> None:
    ledger = Ledger(path)
    for one in records:
        ledger.append(one)
    ledger.close()


def test_what_is_written_is_known_again(path):
    filled(path, record(1), record(2, "error"))
    ledger = Ledger(path)
    assert [ledger.find(name(number)) is not None for number in (1, 2, 3)] == [True, True, False]
    assert ledger.done(record(1)["key"]) == record(1)
    assert ledger.done(record(2)["key"]) is None  # an error is no answer to copy
    assert ledger.read(ledger.find(name(2)).offset) == record(2, "error")


def test_failures_or_everything_can_be_done_again(path):
    filled(path, record(1), record(2, "error"))
    again = Ledger(path, retry_failed=True)
    assert (again.find(name(1)) is not None, again.find(name(2))) == (True, None)
    again.append(record(2))
    assert again.find(name(2)).ok
    again.close()
    forced = Ledger(path, force=True)
    assert (forced.find(name(1)), forced.done(record(1)["key"])) == (None, None)
    forced.append(record(1))
    assert forced.find(name(1)).ok


@pytest.mark.parametrize("cut", [1, 5, 30, -1])
def test_a_torn_last_line_is_cut_off(path, cut):
    filled(path, record(1))
    whole = path.read_bytes()
    path.write_bytes(whole + (json.dumps(record(2)) + "\n").encode()[:cut])
    ledger = Ledger(path)
    assert path.read_bytes() == whole
    assert ledger.find(name(2)) is None
    ledger.append(record(3))
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["id-1", "id-3"]


def test_zeros_that_a_power_cut_left_are_cut_off(path):
    filled(path, record(1))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(300))
    Ledger(path)
    assert path.read_bytes() == whole


def test_a_line_that_another_process_left_torn_is_cut_off_before_the_next_is_written(path):
    ledger = Ledger(path)
    ledger.append(record(1))
    with path.open("ab") as file:
        file.write(b'{"schema_version": 1, "id": "to')
    ledger.append(record(2))
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["id-1", "id-2"]


@pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"a": 1}\n', "[1]\n", '{"schema_version": 1}\nnotes'])
def test_a_file_that_is_no_ledger_is_not_touched(path, content):
    path.write_text(content)
    with pytest.raises(OutputError, match="no ledger"):
        Ledger(path)
    assert path.read_text() == content


def test_no_folder_and_no_device(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "ledger", "/dev/null"):
        with pytest.raises(OutputError):
            Ledger(type(tmp_path)(path))


def test_two_processes_do_not_claim_the_same(path):
    one, two = Ledger(path), Ledger(path)
    assert one.claim([name(1), name(2)]) == {name(1), name(2)}
    assert two.claim([name(2), name(3)]) == {name(3)}
    one.append(record(2))
    assert two.claim([name(2)]) == set()
    assert two.find(name(2)) is not None
    one.close()
    assert two.claim([name(1)]) == {name(1)}  # given back
    two.close()
    assert not path.with_name("ledger.jsonl.claims").exists()


def test_the_claims_of_a_killed_process_are_free(path):
    code = (
        "import sys, time, pathlib; from llava_cli.batch.ledger import Ledger"
        "\nledger = Ledger(pathlib.Path(sys.argv[1]));"
        "ledger.claim([bytes.fromhex(sys.argv[2])]); print('claimed', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, path, name(1).hex()], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"claimed\n"
    ledger = Ledger(path)
    assert ledger.claim([name(1)]) == set()
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    assert ledger.claim([name(1)]) == {name(1)}


def test_many_processes_write_whole_lines_and_none_twice(path):
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); from test_ledger import record, name\n"
        "from llava_cli.batch.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]))\n"
        "for n in range(40):\n"
        "    if ledger.claim([name(n)]): ledger.append(record(n, answer='x' * 5000))\n"
        "ledger.close()\n"
    )
    command = [sys.executable, "-c", code, path, str(Path(__file__).parent)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert sorted(ids) == sorted(f"id-{n}" for n in range(40))


def test_a_full_disk_is_an_output_error_and_leaves_whole_records(path):
    ledger = Ledger(path)
    ledger.append(record(1))
    whole = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            ledger.append(record(2, answer="x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == whole
    ledger.append(record(2))
    assert ledger.find(name(2)) is not None


def test_a_new_answer_outweighs_an_earlier_failure_when_read_again(path):
    filled(path, record(1, "error"), record(1))
    assert Ledger(path).find(name(1)).ok


def test_each_record_is_one_write_and_one_fsync(path, monkeypatch):
    ledger = Ledger(path)
    calls = []
    write, fsync = os.write, os.fsync

    def noted_write(file, data):
        calls.append(("write", bytes(data)))
        return write(file, data)

    def noted_fsync(file):
        calls.append(("fsync", path.read_bytes()))
        return fsync(file)

    monkeypatch.setattr("os.write", noted_write)
    monkeypatch.setattr("os.fsync", noted_fsync)
    ledger.append(record(1))
    line = path.read_bytes()
    assert calls[-2:] == [("write", line), ("fsync", line)]
