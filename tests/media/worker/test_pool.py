# SPDX-License-Identifier: Apache-2.0
"""Decoders in processes: what they give is what is read here, and what ends them costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media.spoiling import bad, spoilt
from PIL import Image

from llava_cli.errors import InputError, LlavaError
from llava_cli.media import Sampling, View, load_media
from llava_cli.media.limits import Limits, half_of_memory
from llava_cli.media.opening import open_source
from llava_cli.media.windows import Division
from llava_cli.media.worker import process
from llava_cli.media.worker.parent import Crashed, NotStarted, TimedOut, TooLarge
from llava_cli.media.worker.pool import DecodePool
from llava_cli.media.worker.wire import DecoderBug

VIEW = View((56, 56), "crop", Sampling("uniform", 4))
SMALLER = View((28, 28), "crop", Sampling("uniform", 2))


@pytest.fixture
def pool():
    pool = DecodePool(1, Limits())
    yield pool
    pool.close()


def child(pool: DecodePool) -> int:
    (worker,) = pool._workers
    return worker._process.pid


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
    first = pool.submit([(str(rendered("h264")), VIEW), (str(rendered("vp9")), SMALLER)])
    second = pool.submit([(str(tmp_path / "empty.mp4"), VIEW)])
    third = pool.submit([(str(rendered("h264")), SMALLER)])
    decoded = first.result(60)
    assert decoded.seconds > 0
    for name, view, medium in zip(("h264", "vp9"), (VIEW, SMALLER), decoded.media, strict=True):
        here = load_media(rendered(name), view)
        assert np.array_equal(medium.frames, here.frames)
        assert (medium.indices, medium.info) == (here.indices, here.info)
    error = second.exception(60)
    assert isinstance(error, LlavaError)
    assert (error.code, str(error)) == ("input", f"{tmp_path / 'empty.mp4'}: is empty")
    assert third.result(60).media[0].frames.shape == (2, 28, 28, 3)


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", Crashed, "SIGSEGV"),
        ("time.sleep(1000)", TimedOut, "--timeout"),
        ("raise LookupError('unforeseen')", DecoderBug, "LookupError: unforeseen"),
    ],
)
def test_whatever_happens_to_a_decoder_costs_one_file(rendered, tmp_path, monkeypatch, statement, kind, message):
    spoilt(monkeypatch, statement)
    path = bad(rendered, tmp_path)
    pool = DecodePool(1, Limits(timeout=3))
    failed = pool.submit([(str(path), VIEW)]).exception(60)
    assert type(failed) is kind
    assert message in str(failed)
    pool._workers[0].limits = Limits(timeout=60)  # however slow this machine is
    assert pool.submit([(str(rendered("h264")), VIEW)]).result(60).media
    pool.close()


def test_an_open_source_is_decoded_as_often_as_wanted(pool, rendered, monkeypatch):
    with rendered("h264").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with open_source("-") as source:
            futures = [pool.submit([(source, VIEW)]) for _ in range(3)]
            assert [future.result(60).media[0].info.path for future in futures] == ["-"] * 3


def test_where_no_process_starts_it_is_said(rendered, monkeypatch):
    """It is not the files' fault: not each of a hundred thousand is to be told as broken."""
    monkeypatch.setattr(process, "PROGRAM", "raise SystemExit(7)")
    pool = DecodePool(1, Limits())
    with pytest.raises(NotStarted, match="does not start"):
        pool.submit([(str(rendered("h264")), VIEW)]).result(60)
    pool.close()


def test_signals_to_the_whole_group_do_not_reach_decoders(pool, rendered):
    pool.submit([(str(rendered("h264")), VIEW)]).result(60)
    process = child(pool)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process, number)
    assert pool.submit([(str(rendered("h264")), VIEW)]).result(60).media
    assert child(pool) == process


def test_what_lists_name_is_a_file(rendered, tmp_path):
    """A pipe would be waited for, and is another one each time; standard input may be the list itself."""
    os.mkfifo(tmp_path / "pipe")
    pool = DecodePool(1, Limits(pipes=False))
    futures = [pool.submit([(name, VIEW)]) for name in (str(tmp_path / "pipe"), "-", "https://example.org/clip.mp4")]
    assert all("is a pipe" in str(future.exception(60)) for future in futures[:2])
    assert "--allow-urls" in str(futures[2].exception(60))
    pool.close()


def test_cores_and_memory_are_shared(monkeypatch):
    monkeypatch.setattr("llava_cli.media.worker.pool.cores", lambda: 8)
    pool = DecodePool(2, Limits())
    assert {worker.threads for worker in pool._workers} == {4}
    assert {worker.limits.max_memory for worker in pool._workers} == {half_of_memory() // 2}
    pool.close()


def test_closing_ends_processes_and_threads(rendered, tmp_path, monkeypatch):
    spoilt(monkeypatch, "time.sleep(1000)")
    before = set(threading.enumerate())
    pool = DecodePool(2, Limits())
    slots = set(threading.enumerate()) - before
    pool.submit([(str(rendered("h264")), VIEW)]).result(60)
    pool.submit([(str(bad(rendered, tmp_path)), VIEW)])
    processes = [worker._process for worker in pool._workers]
    pool.close()
    assert len(slots) == 2
    for slot in slots:
        slot.join(20)
    assert not any(slot.is_alive() for slot in slots)
    assert all(process.returncode is not None for process in processes)


def test_closing_cancels_what_is_not_done(rendered, tmp_path, monkeypatch):
    spoilt(monkeypatch, f"open({str(tmp_path / 'begun')!r}, 'w').close() or time.sleep(1000)")
    path, told = str(bad(rendered, tmp_path)), []
    pool = DecodePool(1, Limits())
    futures = [pool.submit([(path, VIEW)]) for _ in range(3)]
    for future in futures:
        future.add_done_callback(told.append)
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    closers = [threading.Thread(target=pool.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    assert wait(futures, 60).not_done == set()
    for closer in closers:
        closer.join()
    assert all(future.cancelled() for future in futures)
    assert set(told) == set(futures)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit([(path, VIEW)])


def test_closing_does_not_wait_for_who_fills_a_pipe(tmp_path):
    """Nor does the end of the program: the thread that waits is left behind."""
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import sys, time; from llava_cli.media.worker.pool import DecodePool\n"
        "from llava_cli.media import Sampling, View; from llava_cli.media.limits import Limits\n"
        "pool = DecodePool(2, Limits()); view = View((56, 56), 'crop', Sampling())\n"
        "futures = [pool.submit([(name, view)]) for name in ('-', sys.argv[1])]; time.sleep(0.3); pool.close()\n"
        "print([future.cancelled() for future in futures])\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "pipe"]
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing):
        done = subprocess.run(command, stdin=reading, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[True, True]\n", b"")


def test_decoders_end_with_a_killed_parent(rendered):
    code = (
        "import sys, time; from llava_cli.media.worker.pool import DecodePool\n"
        "from llava_cli.media import Sampling, View; from llava_cli.media.limits import Limits\n"
        "pool = DecodePool(1, Limits()); pool.submit([(sys.argv[1], View((56, 56), 'crop', Sampling()))]).result(60)\n"
        "print(pool._workers[0]._process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, rendered("h264")], stdout=subprocess.PIPE)
    orphan = int(parent.stdout.readline())
    parent.stdout.close()
    parent.kill()
    parent.wait()
    assert ends(orphan)


def test_what_one_job_holds_decoded_is_bounded(tmp_path):
    """Each of its files alone is within the limit."""
    names = [str(tmp_path / f"{number}.png") for number in range(12)]
    for name in names:
        Image.new("1", (4096, 4096)).save(name)  # 48 MiB as RGB
    pool = DecodePool(1, Limits(max_memory=500 << 20))
    try:
        with pytest.raises(TooLarge, match=r"10\.png: with it, 11 decoded files take more .*--max-memory"):
            pool.submit([(name, VIEW) for name in names]).result(120)
        assert len(pool.submit([(name, VIEW) for name in names[:10]]).result(120).media) == 10
    finally:
        pool.close()


def test_windows_are_of_what_a_file_shows(pool, rendered, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    video, every = str(rendered("h264")), Division(every=1.0)
    assert [(one.start, one.end) for one in pool.windows(video, every)] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [(one.start, one.end) for one in pool.windows(video, every, 2.5)] == [(2.5, 3.5), (3.5, 4.0)]
    assert pool.windows(video, every, 9.0) == pool.windows(str(tmp_path / "still.png"), every) == []
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match="is empty"):
        pool.windows(str(tmp_path / "empty.mp4"), every)


def test_the_process_that_finds_scenes_starts_where_one_is_needed_and_ends_with_the_pool(pool, rendered):
    assert pool._scenes is None
    assert [one.number for one in pool.windows(str(rendered("h264")), Division(scenes=True))][:1] == [1]
    process = child(pool._scenes)
    pool.close()
    assert ends(process)
    with pytest.raises(CancelledError):
        pool.windows(str(rendered("h264")), Division(scenes=True))


def test_a_name_may_stand_for_what_is_open_already(pool, rendered):
    with open_source(str(rendered("h264"))) as source:
        pool.opened["-"] = replace(source, name="-")
        assert len(pool.windows("-", Division(every=1.0))) == 4
        (clip,) = pool.submit([("-", VIEW)]).result().media
    assert clip.info.path == "-"


def test_parts_of_one_file_are_read_by_what_stays_open(pool, rendered):
    """The process has it open between them, and nothing any more when another file has been read."""
    name = str(rendered("h264"))

    def open_files() -> list[str]:
        folder = Path(f"/proc/{child(pool)}/fd")
        return [link for entry in folder.iterdir() if (link := str(entry.readlink())) == name]

    for start in (0.0, 1.0, 2.0):
        part = replace(VIEW, sampling=replace(VIEW.sampling, start=start, end=start + 1.0))
        pool.submit([(name, part)]).result()
        assert open_files()
    pool.submit([(str(rendered("vp9")), VIEW)]).result()
    assert not open_files()
