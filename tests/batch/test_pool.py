# SPDX-License-Identifier: Apache-2.0
"""Decoders in processes: what they give is what is read here, and what kills them costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llava_cli.batch.pool import DecodePool
from llava_cli.batch.worker import Decoded
from llava_cli.errors import LlavaError
from llava_cli.media import Sampling, View, load_media

VIEW = View((56, 56), "crop", Sampling("uniform", 4))


@pytest.fixture
def pool():
    pool = DecodePool(1, limit_s=30)
    yield pool
    pool.close()


def outcomes(pool: DecodePool, count: int) -> dict:
    found = {}
    while len(found) < count:
        outcome = pool.outcome(60)
        assert outcome is not None
        found[outcome[0]] = outcome[1]
    return found


def child(pool: DecodePool) -> int:
    (slot,) = pool._slots
    while slot._connection is None:
        time.sleep(0.01)
    return slot._process.pid


def wait_for_reader(pipe: Path) -> None:
    """Return when the decoder has opened the pipe; keep it waiting for what is in it."""
    while True:
        try:
            os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
        else:
            return


def test_frames_and_errors_are_those_of_this_process(pool, rendered, tmp_path):
    (tmp_path / "empty.mp4").touch()
    pool.submit(1, [str(rendered("h264")), str(rendered("vp9"))], VIEW)
    pool.submit(2, [str(tmp_path / "empty.mp4")], VIEW)
    pool.submit(3, [str(rendered("h264"))], View((28, 28), "crop", Sampling("uniform", 2)))
    found = outcomes(pool, 3)
    assert isinstance(found[1], Decoded)
    for name, medium in zip(("h264", "vp9"), found[1].media, strict=True):
        here = load_media(rendered(name), VIEW)
        assert np.array_equal(medium.frames, here.frames)
        assert (medium.indices, medium.info) == (here.indices, here.info)
    assert isinstance(found[2], LlavaError)
    assert (found[2].code, str(found[2])) == ("input", f"{tmp_path / 'empty.mp4'}: is empty")
    assert found[3].media[0].frames.shape == (2, 28, 28, 3)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_one_file(pool, rendered, tmp_path, number):
    os.mkfifo(tmp_path / "pipe")  # the decoder waits for it, so that it can be hit
    pool.submit(1, [str(tmp_path / "pipe")], VIEW)
    pool.submit(2, [str(rendered("h264"))], VIEW)
    wait_for_reader(tmp_path / "pipe")
    os.kill(child(pool), number)
    found = outcomes(pool, 2)
    assert found[1].code == "decoder_crash"
    assert str(tmp_path / "pipe") in str(found[1])
    assert number.name in str(found[1])
    assert isinstance(found[2], Decoded)


def test_a_hang_costs_one_file(rendered, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    pool = DecodePool(1, limit_s=1.5)
    pool.submit(1, [str(tmp_path / "pipe")], VIEW)
    assert outcomes(pool, 1)[1].code == "timeout"
    pool._slots[0]._limit_s = 60.0  # however slow this machine is
    pool.submit(2, [str(rendered("h264"))], VIEW)
    assert isinstance(outcomes(pool, 1)[2], Decoded)
    pool.close()


def test_signals_to_the_whole_group_do_not_reach_decoders(pool, rendered):
    pool.submit(1, [str(rendered("h264"))], VIEW)
    outcomes(pool, 1)
    process = child(pool)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
    pool.submit(2, [str(rendered("h264"))], VIEW)
    assert isinstance(outcomes(pool, 1)[2], Decoded)
    assert child(pool) == process


def test_closing_ends_processes_and_threads(rendered):
    pool = DecodePool(2, limit_s=30)
    for number in range(4):
        pool.submit(number, [str(rendered("h264"))], VIEW)
    outcomes(pool, 1)
    slots = pool._slots
    pool.close()
    for slot in slots:
        slot.join(20)
    assert not any(slot.is_alive() for slot in slots)


def test_decoders_do_not_load_torch():
    code = (
        "import sys, llava_cli.batch.worker; print([m for m in ('torch', 'transformers', 'typer') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_decoders_end_with_a_killed_parent(rendered):
    code = (
        "import sys, time; from llava_cli.batch.pool import DecodePool; from llava_cli.media import Sampling, View\n"
        "pool = DecodePool(1, 30); pool.submit(1, [sys.argv[1]], View((56, 56), 'crop', Sampling('uniform', 2)))\n"
        "pool.outcome(60); print(pool._slots[0]._process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, rendered("h264")], stdout=subprocess.PIPE)
    orphan = int(parent.stdout.readline())
    parent.stdout.close()
    parent.kill()
    parent.wait()
    for _ in range(200):
        try:
            with open(f"/proc/{orphan}/stat") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    pytest.fail("the decoder goes on without its parent")
