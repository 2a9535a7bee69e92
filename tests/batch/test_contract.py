# SPDX-License-Identifier: Apache-2.0
"""What man/llava-record.5 promises of ledgers, sentence by sentence. Each test repeats the one that it checks.

With a real checkpoint and whole commands: tests/cli/test_caption.py.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from batch.stub import StubSession, filled, name, record
from promises import noted_in

from llava_cli.batch.jobs import Job
from llava_cli.batch.ledger import Ledger
from llava_cli.batch.run import open_batch
from llava_cli.batch.writers import Outputs
from llava_cli.errors import OutputError
from llava_cli.request import Request
from man.record import LEDGER

TESTS = str(Path(__file__).parents[1])
CHECKED: list[str] = []
promise = noted_in(CHECKED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def answering(path: Path) -> subprocess.Popen[bytes]:
    """A process that answers 60 jobs, of which one in ten fails, and prints the id of each when it is done."""
    program = "import sys; sys.path.insert(0, sys.argv[2]); from batch.stub import answer_60; answer_60(sys.argv[1])"
    return subprocess.Popen([sys.executable, "-c", program, path, TESTS], stdout=subprocess.PIPE)


def killed(process: subprocess.Popen[bytes], lines: int) -> list[str]:
    """The first lines of a process, which is killed when it has written them."""
    said = [process.stdout.readline().decode().strip() for _ in range(lines)]
    process.kill()
    process.wait()
    process.stdout.close()
    return said


def test_every_promise_is_checked_and_every_check_is_of_a_promise() -> None:
    assert CHECKED == LEDGER


@promise(
    "A record is on the disk before its job counts as done: what a kill or a power cut can lose is only what "
    "was in hand."
)
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


def test_killed_at_any_moment_what_was_said_to_be_done_is_there(path):
    """Each result is printed as it comes; whoever has read it can rely on it."""
    said: list[str] = []
    for lines in (1, 7, 13):
        said += killed(answering(path), lines)
        whole = path.read_bytes().split(b"\n")[:-1]
        assert set(said) <= {json.loads(line)["id"] for line in whole}
    assert len(set(said)) == 21


@promise("Records are only ever appended; half a line that a crash has left is cut off before the next is written.")
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


@promise("A file that is not a ledger is not touched.")
@pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"a": 1}\n', "[1]\n", '{"schema_version": 1}\nnotes'])
def test_a_file_that_is_no_ledger_is_not_touched(path, content):
    path.write_text(content)
    with pytest.raises(OutputError, match="not a ledger"):
        Ledger(path)
    assert path.read_text() == content


@promise("The same command again does what is missing: there is one record for each job, however often it was stopped.")
def test_killed_again_and_again_every_job_has_one_record(path):
    for lines in (3, 11, 2):
        killed(answering(path), lines)
    last = answering(path)
    last.communicate()
    assert last.returncode == 0
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(record["id"] for record in records) == sorted(f"id-{number}" for number in range(60))
    assert {record["status"] for record in records} == {"ok", "error"}


@promise(
    "Work is known by the contents of its files and by its settings: renamed and copied files keep their "
    "answers, a changed setting is new work."
)
def test_what_is_the_same_work(path, tmp_path):
    clip, copy = tmp_path / "a.mp4", tmp_path / "b.mp4"
    clip.write_bytes(b"one")

    def done(name: Path, **settings: object) -> tuple[int, int]:
        session = StubSession()
        with open_batch(session, lambda: [Job((str(name),), "Why?", **settings)], Request(), Outputs(path)) as batch:
            return len(list(batch.results())), len(session.engine.batches)

    assert done(clip) == (1, 1)
    assert done(clip) == (0, 0)
    copy.write_bytes(b"one")
    assert done(copy) == (1, 0)  # a record, without a question
    assert done(copy, frames=3) == (1, 1)
    copy.write_bytes(b"two")
    assert done(copy) == (1, 1)


@promise(
    "Several processes may work on one list and one ledger: none begins what another has in hand, and what a "
    "killed one had in hand is free again."
)
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
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); from batch.stub import record, name\n"
        "from llava_cli.batch.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]))\n"
        "for n in range(40):\n"
        "    if ledger.claim([name(n)]): ledger.append(record(n, answer='x' * 5000))\n"
        "ledger.close()\n"
    )
    command = [sys.executable, "-c", code, path, TESTS]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert sorted(ids) == sorted(f"id-{n}" for n in range(40))


@promise("A full disk ends the run, and leaves whole records.")
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


@promise(
    "--retry-failed tries failed jobs again, --force all jobs; a later answer counts more than an earlier failure."
)
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


def test_a_new_answer_outweighs_an_earlier_failure_when_read_again(path):
    filled(path, record(1, "error"), record(1))
    assert Ledger(path).find(name(1)).ok
