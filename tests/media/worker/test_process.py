# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from llava_cli.media.worker import process as processes
from llava_cli.media.worker.process import Process, decoding_process, end_ahead, start_ahead

ECHO = (
    "import os, socket, sys\n"
    "line, given, *_ = socket.recv_fds(socket.socket(fileno=os.dup(0)), 100, 1)\n"
    "os.write(1, line + os.read(given[0], 100) + str(sorted(os.environ)).encode())\n"
)


def test_a_request_and_an_open_file_arrive_and_no_secret_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "x").write_text("content")
    process = Process(ECHO)
    with (tmp_path / "x").open() as file:
        process.send(b"line", file.fileno())
    assert process.wait(60) == 0
    said = os.read(process.output, 10000).decode()
    assert said.startswith("linecontent[")
    assert "TMPDIR" in said
    assert "HF_TOKEN" not in said
    assert process.end() == "exit code 0"


def test_what_is_said_to_one_that_has_ended() -> None:
    process = Process("raise SystemExit(3)")
    process.wait(60)
    with open(os.devnull) as file, pytest.raises(ConnectionError):  # noqa: PTH123
        process.send(b"line", file.fileno())
    assert process.end() == "exit code 3"


def test_how_it_ended_is_told_and_nothing_stays_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    process = Process("import time; time.sleep(1000)")
    assert process.returncode is None
    assert process.end() == "SIGKILL"
    assert process.returncode == -signal.SIGKILL
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_process_that_was_started_ahead_is_the_next_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROGRAM", "import time; time.sleep(1000)")
    start_ahead()
    monkeypatch.setattr(processes, "PROGRAM", "raise SystemExit(7)")
    first, second = decoding_process(), decoding_process()
    assert second.wait(60) == 7
    assert first.end() == "SIGKILL"
    second.end()


def test_what_was_started_ahead_and_not_needed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/proc/self/fd"))
    start_ahead()
    end_ahead()
    assert set(os.listdir("/proc/self/fd")) == before
