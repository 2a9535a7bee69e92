# SPDX-License-Identifier: Apache-2.0
"""What a decoding process does, and when it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from media.spoiling import bad, spoilt
from media.web_server import serving

from llava_cli.media import Clip, Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.worker import parent
from llava_cli.media.worker.parent import Crashed, Worker
from llava_cli.media.worker.wire import DecoderBug, Request

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


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


@pytest.mark.parametrize("busy", [False, True])
def test_a_process_ends_when_its_parent_is_gone(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    told = tmp_path / "told"
    spoilt(monkeypatch, f"open({str(told)!r}, 'w').close() or time.sleep(1000)")
    here = Worker()
    process = here._process
    assert process is not None
    if busy:
        with bad(rendered, tmp_path).open() as file:
            process.send(Request(file.name, "bad", VIEW, Limits()).dump(), file.fileno())
        while not told.exists():
            time.sleep(0.01)
    process.hang_up()
    assert process.wait(30) == 0
    here.close()


def test_short_of_memory_the_system_ends_the_decoder_first(worker: Worker) -> None:
    process = worker._started()
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


@pytest.mark.parametrize("spoil", ["c.dump_media = None", "c._bound_time = None"])
def test_a_bug_while_serving_is_not_the_file_s(rendered: Rendered, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    before, after = parent.PROGRAM.split("from llava_cli.media.worker.child")
    program = f"{before}import llava_cli.media.worker.child as c; {spoil}; from llava_cli.media.worker.child{after}"
    monkeypatch.setattr(parent, "PROGRAM", program)
    with Worker() as here, pytest.raises(DecoderBug, match="TypeError: 'NoneType' object is not callable"):
        here.load(rendered("h264"), VIEW)
