# SPDX-License-Identifier: Apache-2.0
"""Decoding elsewhere gives what decoding here gives; what happens to the process there happens to one file only."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked
from media.spoiling import bad, spoilt
from PIL import Image

from llava_cli.errors import ExitCode, InputError, UsageError
from llava_cli.media import Clip, Sampling, Still, View, load_media
from llava_cli.media.limits import Limits
from llava_cli.media.opening import open_source
from llava_cli.media.worker import process
from llava_cli.media.worker.parent import Crashed, NotStarted, TimedOut, TooLarge, Worker
from llava_cli.media.worker.wire import DecoderBug, Request

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


def test_clips_and_stills_come_back_whole(rendered: Rendered, tmp_path: Path, worker: Worker) -> None:
    Image.fromarray(marked(5, 64, 48)).save(tmp_path / "x.png")
    for path in (rendered("h264"), rendered("rotated_90"), rendered("hdr"), tmp_path / "x.png"):
        view = replace(VIEW, resample=1, pixels="fast" if path.stem == "rotated_90" else "exact")
        here, there = load_media(path, view), worker.load(path, view)
        assert there.info == here.info
        if isinstance(here, Clip) and isinstance(there, Clip):
            assert np.array_equal(there.frames, here.frames)
            assert (there.indices, there.times, there.sampling) == (here.indices, here.times, here.sampling)
            assert there.pixels == here.pixels == view.pixels
        else:
            assert isinstance(here, Still)
            assert isinstance(there, Still)
            assert np.array_equal(there.pixels, here.pixels)


def test_errors_come_back_as_they_are(rendered: Rendered, tmp_path: Path, worker: Worker) -> None:
    (tmp_path / "x.mp4").write_bytes(bytes(1000))
    for path in (tmp_path / "x.mp4", tmp_path / "none.mp4", tmp_path):
        with pytest.raises(InputError) as here:
            load_media(path, VIEW)
        with pytest.raises(InputError) as there:
            worker.load(path, VIEW)
        assert str(there.value) == str(here.value)
        assert there.value.code == here.value.code
    with pytest.raises(UsageError):
        worker.load(rendered("h264"), View((48, 48), "crop", Sampling(frames=0)))
    assert isinstance(worker.load(rendered("h264"), VIEW), Clip)


def test_names_of_any_bytes(rendered: Rendered, tmp_path: Path, worker: Worker) -> None:
    path = os.fsencode(tmp_path) + b"/-x\xff\n.mp4"
    Path(os.fsdecode(path)).write_bytes(rendered("h264").read_bytes())
    assert worker.load(path, VIEW).info.path == os.fsdecode(path)


def test_standard_input_is_read_by_the_program_itself(
    rendered: Rendered, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rendered("h264").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert worker.load("-", VIEW).info.path == "-"


def test_an_open_source_is_not_opened_again(
    rendered: Rendered, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rendered("h264").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with open_source("-") as source:
            many, few = (worker.load(source, View((48, 48), "crop", Sampling(frames=n))) for n in (8, 4))
    assert isinstance(many, Clip)
    assert isinstance(few, Clip)
    assert (len(many.frames), len(few.frames)) == (8, 4)
    assert many.info.path == few.info.path == "-"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGBUS"])
def test_a_crash_costs_one_file(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    spoilt(monkeypatch, f"os.kill(os.getpid(), signal.{name})")
    path = bad(rendered, tmp_path)
    with Worker() as here:
        for _ in range(2):
            with pytest.raises(Crashed, match=rf"^the decoder crashed on {path} \({name}\)") as caught:
                here.load(path, VIEW)
            assert caught.value.exit_code is ExitCode.INPUT
            assert isinstance(here.load(rendered("h264"), VIEW), Clip)


def test_a_hang_costs_one_file_and_no_more_than_the_time_allowed(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(monkeypatch, "time.sleep(1000)")
    path = bad(rendered, tmp_path)
    with Worker(Limits(timeout=0.5)) as here:
        process = here._process
        assert process is not None
        with pytest.raises(TimedOut, match=r"bad\.mp4: not decoded within 0\.5 seconds; --timeout") as caught:
            here.load(path, VIEW)
        assert caught.value.code == "timeout"
        assert process.returncode == -signal.SIGKILL
    with Worker(Limits(timeout=60)) as here:
        assert isinstance(here.load(rendered("h264"), VIEW), Clip)


def test_nonsense_from_a_process_that_was_taken_over_is_a_crash(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bad(rendered, tmp_path)
    for said in (b"\\x80\\x04pickle\\n", b"[]\\n", b"{}\\n", b'{"info": {}, "shape": [1, 1, 3]}\\n', b"x" * 100):
        text = said.decode()
        with monkeypatch.context() as patched:
            spoilt(patched, f"[os.write(fd, b'{text}') for fd in (3, 4, 5, 6)] and os._exit(0)")
            with Worker() as here, pytest.raises((Crashed, OSError)):
                here.load(path, VIEW)


def test_no_process_stays_behind(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, "time.sleep(1000)")
    path = bad(rendered, tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    here = Worker()
    process = here._process
    assert process is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(KeyboardInterrupt), here:
            here.load(path, VIEW)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert process.returncode == -signal.SIGKILL
    assert set(os.listdir("/proc/self/fd")) == before


def test_memory_is_bounded(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, "hoard = bytearray(b'x' * (600 << 20)); time.sleep(1000)")
    path = bad(rendered, tmp_path)
    with Worker(Limits(max_memory=500 << 20)) as here:
        with pytest.raises(TooLarge, match=r"bad\.mp4: takes more memory .*--max-memory") as caught:
            here.load(path, VIEW)
        assert caught.value.exit_code is ExitCode.INPUT
        assert isinstance(here.load(rendered("h264"), VIEW), Clip)


def test_a_process_that_does_not_start_is_nobody_s_file(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PROGRAM", "raise SystemExit(7)")
    with Worker() as here, pytest.raises(NotStarted, match=r"does not start \(exit code 7\).*llava doctor") as caught:
        here.load(rendered("h264"), VIEW)
    assert (caught.value.code, caught.value.exit_code) == ("decoder_start", ExitCode.INPUT)
    assert "\n" not in str(caught.value)


def test_a_process_that_cannot_even_be_made_is_tried_again(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have too many processes, or too little memory for one more."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(process.subprocess, "Popen", refuse)
        here = Worker()
        with pytest.raises(NotStarted, match=r"does not start \(Resource temporarily unavailable\)"):
            here.load(rendered("h264"), VIEW)
    with here:
        assert isinstance(here.load(rendered("h264"), VIEW), Clip)


def test_after_it_was_killed_no_process_starts_again(rendered: Rendered, worker: Worker) -> None:
    worker.load(rendered("h264"), VIEW)
    process = worker._process
    worker.kill()
    for _ in range(2):
        with pytest.raises((Crashed, NotStarted)):
            worker.load(rendered("h264"), VIEW)
    assert worker._process in (None, process)


def test_our_own_mistakes_are_not_the_file_s(
    rendered: Rendered, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Request, "dump", lambda request: b'{"path": "x"}\n')
        with pytest.raises(DecoderBug, match=r"^Traceback(.|\n)*KeyError: 'view'"):
            worker.load(rendered("h264"), VIEW)
    process = worker._process
    assert isinstance(worker.load(rendered("h264"), VIEW), Clip)
    assert worker._process is process, "the same one goes on"
    worker.threads = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not JSON serializable"):
        worker.load(rendered("h264"), VIEW)
