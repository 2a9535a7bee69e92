# SPDX-License-Identifier: Apache-2.0
"""`--gpus` and `--ray` of the commands for lists: what goes with what, and what signals do."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from cli.lists import records
from cli.programs import started


@pytest.mark.parametrize(("options", "told"), [
    (("--gpus", "x"), "--gpus x: write all, the numbers of GPUs such as 0,1,3, or cpu,cpu"),
    (("--gpus", "cpu,cpu", "--device", "cpu"), "leave --device and --device-map out"),
    (("--gpus", "0", "--device-map", "0,1"), "leave --device and --device-map out"),
    (("--gpus", "0", "--ray", "auto"), "--gpus and --ray cannot be used together"),
    (("--gpus", "0", "--keep", "5m"), "--gpus and --keep cannot be used together"),
    (("--ray", "auto", "--keep", "5m"), "--ray and --keep cannot be used together"),
    (("--ray", "auto", "--device", "cuda:1"), "leave --device out, or say --device cpu"),
    (("--ray", "somewhere"), "--ray somewhere: write auto, or HOST:PORT"),
    (("--gpus-per-engine", "2"), "--gpus-per-engine needs --ray"),
])  # fmt: skip
@pytest.mark.parametrize("command", ["caption", "batch"])
def test_what_does_not_go_together_is_a_usage_error(llava, files, tmp_path, command, options, told):
    (tmp_path / "jobs.jsonl").touch()
    listed = files / "h264.mp4" if command == "caption" else tmp_path / "jobs.jsonl"
    result = llava(command, listed, "-m", "demo", *options)
    assert result.code == 2
    assert told in result.err
    assert result.out == ""


def test_a_cluster_that_is_not_there_is_exit_code_4(llava, files):
    result = llava("caption", files / "h264.mp4", "-m", "demo", "--ray", "127.0.0.1:9")
    assert result.code == 4
    assert "llava: --ray 127.0.0.1:9: no cluster can be reached (" in result.err


@pytest.fixture
def running(files, tiny, tmp_path):
    """A long list, two engines at work on it, and its ledger."""
    ledger = tmp_path / "ledger.jsonl"
    names = [option for number in range(60) for option in ("-p", f"Why {number}?")]
    process = started(
        "caption", files / "h264.mp4", files / "vp9.webm", *names, "-m", tiny, "--dtype", "float32", "-n", "4",
        "--max-new-tokens", "200", "--batch-size", "2", "--gpus", "cpu,cpu", "-o", ledger, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 4):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    yield process, ledger
    process.kill()
    process.wait()
    process.stderr.close()
    psutil.wait_procs(children, 30)
    assert [child for child in children if child.is_running()] == []


def whole_records(ledger: Path) -> int:
    text = ledger.read_text()
    assert text.endswith("\n")
    return len(records(text))


@pytest.mark.slow
def test_a_signal_finishes_what_both_have_in_hand_and_leaves_nobody(running):
    process, ledger = running
    before = whole_records(ledger)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1].decode()
    assert process.returncode == 130
    assert "stopping after what is in hand" in error
    assert "each of 2 engines busy" in error
    assert before < whole_records(ledger) < 120


@pytest.mark.slow
def test_a_second_signal_ends_at_once_and_leaves_nobody(running):
    process, ledger = running
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode in (130, 143)
    assert whole_records(ledger) < 120
