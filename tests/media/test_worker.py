# SPDX-License-Identifier: Apache-2.0
"""Decoding elsewhere gives what decoding here gives; what happens to the process there happens to one file only."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked
from media.web_server import serving
from PIL import Image

from llava_cli.errors import ExitCode, InputError, UsageError
from llava_cli.media import Clip, Sampling, Still, View, load_media
from llava_cli.media.limits import Limits
from llava_cli.media.worker import parent as worker
from llava_cli.media.worker.parent import Crashed, TimedOut, TooLarge, Worker
from llava_cli.media.worker.wire import DecoderBug, Request

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


@pytest.fixture
def pool() -> Iterator[Worker]:
    with Worker() as here:
        yield here


def spoilt(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Have decoding processes run a statement instead of decoding files that are called bad."""
    patch = (
        "import llava_cli.media.worker.child as c, os, signal, time; load = c.load_source\n"
        f"def spoil(source, *rest):\n if 'bad' in source.name: {statement}\n return load(source, *rest)\n"
        "c.load_source = spoil; "
    )
    before, after = worker.PROGRAM.split("from llava_cli.media.worker.child")
    monkeypatch.setattr(worker, "PROGRAM", f"{before}\n{patch}\nfrom llava_cli.media.worker.child{after}")


def bad(rendered: Rendered, tmp_path: Path) -> Path:
    path = tmp_path / "bad.mp4"
    path.write_bytes(rendered("h264").read_bytes())
    return path


def test_clips_and_stills_come_back_whole(rendered: Rendered, tmp_path: Path, pool: Worker) -> None:
    Image.fromarray(marked(5, 64, 48)).save(tmp_path / "x.png")
    for path in (rendered("h264"), rendered("rotated_90"), rendered("hdr"), tmp_path / "x.png"):
        here, there = load_media(path, VIEW), pool.load(path, VIEW)
        assert there.info == here.info
        if isinstance(here, Clip) and isinstance(there, Clip):
            assert np.array_equal(there.frames, here.frames)
            assert (there.indices, there.times, there.sampling) == (here.indices, here.times, here.sampling)
        else:
            assert isinstance(here, Still)
            assert isinstance(there, Still)
            assert np.array_equal(there.pixels, here.pixels)


def test_errors_come_back_as_they_are(rendered: Rendered, tmp_path: Path, pool: Worker) -> None:
    (tmp_path / "x.mp4").write_bytes(bytes(1000))
    for path in (tmp_path / "x.mp4", tmp_path / "none.mp4", tmp_path):
        with pytest.raises(InputError) as here:
            load_media(path, VIEW)
        with pytest.raises(InputError) as there:
            pool.load(path, VIEW)
        assert str(there.value) == str(here.value)
        assert there.value.code == here.value.code
    with pytest.raises(UsageError):
        pool.load(rendered("h264"), View((48, 48), "crop", Sampling(frames=0)))
    assert isinstance(pool.load(rendered("h264"), VIEW), Clip)


def test_names_of_any_bytes(rendered: Rendered, tmp_path: Path, pool: Worker) -> None:
    path = os.fsencode(tmp_path) + b"/-x\xff\n.mp4"
    Path(os.fsdecode(path)).write_bytes(rendered("h264").read_bytes())
    assert pool.load(path, VIEW).info.path == os.fsdecode(path)


def test_standard_input_is_read_by_the_program_itself(
    rendered: Rendered, pool: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(rendered("h264").read_bytes())))
    assert pool.load("-", VIEW).info.path == "-"


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


def test_an_error_that_nobody_foresaw_is_a_bug_and_not_the_file_s(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(monkeypatch, "raise LookupError('unforeseen')")
    with Worker() as here, pytest.raises(DecoderBug, match="LookupError: unforeseen"):
        here.load(bad(rendered, tmp_path), VIEW)


def test_what_libraries_print_is_no_answer(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, "os.write(1, b'chatter')")
    with Worker() as here:
        assert isinstance(here.load(bad(rendered, tmp_path), VIEW), Clip)


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


@pytest.mark.parametrize("busy", [False, True])
def test_a_process_ends_when_its_parent_is_gone(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    told = tmp_path / "told"
    spoilt(monkeypatch, f"open({str(told)!r}, 'w').close() or time.sleep(1000)")
    here = Worker()
    process = here._process
    assert process is not None
    assert process.stdin is not None
    if busy:
        process.stdin.write(Request(str(bad(rendered, tmp_path)), "bad", VIEW, Limits()).dump())
        process.stdin.flush()
        while not told.exists():
            time.sleep(0.01)
    process.stdin.close()
    assert process.wait(30) == 0
    here.close()


def test_memory_is_bounded(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, "hoard = bytearray(b'x' * (600 << 20)); time.sleep(1000)")
    path = bad(rendered, tmp_path)
    with Worker(Limits(max_memory=500 << 20)) as here:
        with pytest.raises(TooLarge, match=r"bad\.mp4: takes more memory .*--max-memory") as caught:
            here.load(path, VIEW)
        assert caught.value.exit_code is ExitCode.INPUT
        assert isinstance(here.load(rendered("h264"), VIEW), Clip)


def test_short_of_memory_the_system_ends_the_decoder_first(pool: Worker) -> None:
    process = pool._started()
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


def test_what_a_killed_process_was_downloading_is_gone(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving() as site, Worker(Limits(urls="any")) as here:
        site.on_request = lambda: os.kill(here._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        with pytest.raises(Crashed, match="SIGKILL"):
            here.load(site.add("/clip", rendered("h264")), VIEW)
        assert site.requests
    assert not list(tmp_path.iterdir())


def test_a_process_that_does_not_start_is_nobody_s_file(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PROGRAM", "raise SystemExit(7)")
    with Worker() as here, pytest.raises(RuntimeError, match=r"does not start \(exit code 7\)"):
        here.load(rendered("h264"), VIEW)


def test_the_child_loads_no_model_code_and_nothing_from_the_current_folder(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    spoilt(
        monkeypatch,
        f"import sys; open({str(told)!r}, 'w').write(str([m for m in ('torch', 'transformers', 'typer') "
        "if m in sys.modules]))",
    )
    (tmp_path / "numpy.py").write_text("raise SystemExit('from the current folder')")
    monkeypatch.chdir(tmp_path)
    with Worker() as here:
        assert isinstance(here.load(bad(rendered, tmp_path), VIEW), Clip)
    assert told.read_text() == "[]"


def test_requests_survive_the_journey() -> None:
    view, limits = View((1, 2), "full", Sampling("fps", 3, 0.5, 1.0, 2.0)), Limits(1, 2, 3, 4.0, 5, "any", False)
    request = Request("/a\udcff", "b", view, limits, 5)
    assert Request.parse(request.dump()) == request


def test_time_is_given_up_where_the_parent_cannot_take_it() -> None:
    """The process bounds its own use of the processor too."""
    from llava_cli.media.worker import child

    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            import resource

            child._bound_time(Request("", "", VIEW, Limits(timeout=5)))
            soft = resource.getrlimit(resource.RLIMIT_CPU)[0]
            os._exit(0 if 5 < soft < time.process_time() + 20 * (os.cpu_count() or 1) else 1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
