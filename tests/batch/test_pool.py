# SPDX-License-Identifier: Apache-2.0
"""Decoders in processes: what they give is what is read here, and what ends them costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from media.test_worker import bad, spoilt

from llava_cli.batch.pool import Decoded, DecodePool
from llava_cli.errors import LlavaError
from llava_cli.media import Sampling, View, load_media
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.worker import parent as worker

VIEW = View((56, 56), "crop", Sampling("uniform", 4))


@pytest.fixture
def pool():
    pool = DecodePool(1, Limits())
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
    return slot.worker._process.pid


def ends(process: int) -> bool:
    """Whether a process that is no child of ours ends soon."""
    for _ in range(200):
        try:
            with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


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


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "decoder_crashed", "SIGSEGV"),
        ("time.sleep(1000)", "timeout", "--timeout"),
        ("raise LookupError('unforeseen')", "decoder", "cannot be decoded: LookupError: unforeseen"),
    ],
)
def test_whatever_happens_to_a_decoder_costs_one_file(rendered, tmp_path, monkeypatch, statement, code, message):
    spoilt(monkeypatch, statement)
    path = bad(rendered, tmp_path)
    pool = DecodePool(1, Limits(timeout=3))
    pool.submit(1, [str(path)], VIEW)
    failed = outcomes(pool, 1)[1]
    assert failed.code == code
    assert str(path) in str(failed)
    assert message in str(failed)
    pool._slots[0].worker.limits = Limits(timeout=60)  # however slow this machine is
    pool.submit(2, [str(rendered("h264"))], VIEW)
    assert isinstance(outcomes(pool, 1)[2], Decoded)
    pool.close()


def test_where_no_process_starts_the_run_ends(rendered, monkeypatch):
    """It is not the files' fault: not each of a hundred thousand is to be told as broken."""
    monkeypatch.setattr(worker, "PROGRAM", "raise SystemExit(7)")
    pool = DecodePool(1, Limits())
    pool.submit(1, [str(rendered("h264"))], VIEW)
    with pytest.raises(RuntimeError, match="does not start"):
        outcomes(pool, 1)


def test_signals_to_the_whole_group_do_not_reach_decoders(pool, rendered):
    pool.submit(1, [str(rendered("h264"))], VIEW)
    outcomes(pool, 1)
    process = child(pool)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
    pool.submit(2, [str(rendered("h264"))], VIEW)
    assert isinstance(outcomes(pool, 1)[2], Decoded)
    assert child(pool) == process


def test_what_lists_name_is_a_file(pool, rendered, tmp_path):
    """A pipe would be waited for, and is another one each time; standard input may be the list itself."""
    os.mkfifo(tmp_path / "pipe")
    pool.submit(1, [str(tmp_path / "pipe")], VIEW)
    pool.submit(2, ["-"], VIEW)
    pool.submit(3, ["https://example.org/clip.mp4"], VIEW)
    found = outcomes(pool, 3)
    assert all("is a pipe" in str(found[number]) for number in (1, 2))
    assert "--allow-urls" in str(found[3])


def test_cores_and_memory_are_shared(monkeypatch):
    monkeypatch.setattr("llava_cli.batch.pool.cores", lambda: 8)
    pool = DecodePool(2, Limits())
    assert {slot.worker.threads for slot in pool._slots} == {4}
    assert {slot.worker.limits.max_memory for slot in pool._slots} == {half_of_memory() // 2}
    pool.close()


def test_closing_ends_processes_and_threads(rendered, tmp_path, monkeypatch):
    spoilt(monkeypatch, "time.sleep(1000)")
    pool = DecodePool(2, Limits())
    pool.submit(1, [str(rendered("h264"))], VIEW)
    outcomes(pool, 1)
    pool.submit(2, [str(bad(rendered, tmp_path))], VIEW)
    slots = pool._slots
    pool.close()
    for slot in slots:
        slot.join(20)
    assert not any(slot.is_alive() for slot in slots)


def test_decoders_end_with_a_killed_parent(rendered):
    code = (
        "import sys, time; from llava_cli.batch.pool import DecodePool; from llava_cli.media import Sampling, View\n"
        "from llava_cli.media.limits import Limits\n"
        "pool = DecodePool(1, Limits()); pool.submit(1, [sys.argv[1]], View((56, 56), 'crop', Sampling()))\n"
        "pool.outcome(60); print(pool._slots[0].worker._process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, rendered("h264")], stdout=subprocess.PIPE)
    orphan = int(parent.stdout.readline())
    parent.stdout.close()
    parent.kill()
    parent.wait()
    assert ends(orphan)
