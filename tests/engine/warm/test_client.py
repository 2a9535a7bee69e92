# SPDX-License-Identifier: Apache-2.0
"""A worker as a process of its own: what it answers, and what becomes of answers when it or its client dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llava_cli.chat import Chat
from llava_cli.engine.types import Generation
from llava_cli.engine.warm import address, client
from llava_cli.engine.warm.manage import workers
from llava_cli.errors import UsageError
from llava_cli.request import Request
from llava_cli.session import Session

LONG = Generation(max_new_tokens=40)


@pytest.fixture(scope="module")
def video(rendered):
    return str(rendered("h264"))


def _request(video, question="Describe the video.", **options):
    return Request(question, (video,), generation=LONG, **options)


def _warm(keep_s=300.0):
    return Session("demo", keep_s=keep_s)


@pytest.fixture(scope="module")
def plain(video):
    with Session("demo") as session:
        return session.ask(_request(video)).text


def test_it_answers_as_this_process_does_and_stays_for_the_next(runtime, video, plain, caplog):
    for _ in range(2):
        with _warm() as session:
            stream = session.stream_of(_request(video))
            pieces = list(stream)
            assert "".join(pieces).strip() == plain
            assert len(pieces) > 1
            answer = stream.result()
            assert answer.model.worker
            assert answer.media[0].info.path == video
        assert answer.prompt_tokens > answer.visual_tokens > 0
    (worker,) = workers()
    assert worker.status["checkpoint"] == "demo"
    assert worker.status["loaded"]
    assert not worker.status["busy"]
    assert worker.process != os.getpid()
    assert not caplog.records
    with _warm() as session:
        with pytest.raises(UsageError, match="context is"):
            session.ask(Request("What?", (video,), generation=Generation(max_new_tokens=100_000)))
        with Chat(session, Request(media=(video,))) as chat, Chat(session, Request(media=(video,))) as other:
            said = [chat.ask("What moves?"), other.ask("What colour is it?"), chat.ask("What colour is it?")]
        assert said[2].completion.cached_tokens > said[2].visual_tokens
        assert said[1].text == said[2].text
    _ctrl_c_ends_the_answer_alone(runtime, video, worker)
    _killed_in_the_middle(video, plain, worker, caplog)


def test_how_far_it_is_is_told_here(runtime, video):
    told = []
    with Session("demo", keep_s=30.0, progress=lambda *one: told.append(one)) as session:
        session.ask(_request(video))
    stages = list(dict.fromkeys(name for name, *_ in told))
    begun, ended = ([name for name, count, total in told if count == end(total)] for end in (lambda _: 0, lambda n: n))
    assert sorted(begun) == sorted(ended) == sorted(stages)
    assert [name.partition(" ")[0] for name in stages][-3:] == ["encoding", "prefill", "answering,"]


def _ctrl_c_ends_the_answer_alone(runtime, video, worker):
    program = (
        "import sys; from llava_cli.session import Session; from llava_cli.request import Request\n"
        "with Session('demo', keep_s=300.0) as session:\n"
        "    for piece in session.stream_of(Request('Describe the video.', (sys.argv[1],))): print(piece, flush=True)"
    )
    for end in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen([sys.executable, "-c", program, video], stdout=-1, stderr=-1) as process:
            process.stdout.readline()
            process.send_signal(end)
            process.communicate()
        until = time.monotonic() + 20
        while next(workers()).status["busy"] and time.monotonic() < until:
            time.sleep(0.05)
        assert [(one.process, one.status["busy"]) for one in workers()] == [(worker.process, False)]


def _killed_in_the_middle(video, plain, worker, caplog):
    with _warm() as session:
        stream = session.stream_of(_request(video))
        told = [next(stream)]
        os.kill(worker.process, signal.SIGKILL)
        told += stream
        assert "".join(told).strip() == plain
        assert session.ask(_request(video)).text == plain
    assert [record.getMessage() for record in caplog.records if "worker" in record.getMessage()] == [
        "the worker cannot be used (the connection is closed): answering in this process"
    ]
    assert not list(workers())


def test_two_that_start_at_once_share_one_worker_which_ends_when_idle(runtime, video, plain):
    def ask(_):
        with _warm(keep_s=1.0) as session:
            return session.ask(_request(video)).text

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == [plain, plain]
    assert len(list(runtime.glob("*.sock"))) == 1
    until = time.monotonic() + 20
    while list(runtime.glob("*.sock")) and time.monotonic() < until:
        time.sleep(0.1)
    assert not list(runtime.glob("*.sock"))
    assert not list(workers())


def test_another_version_has_another_worker(runtime, monkeypatch):
    from llava_cli.engine.types import LoadOptions
    from llava_cli.models.checkpoint import open_checkpoint

    client.connect(open_checkpoint("demo"), LoadOptions(), 30.0).close()
    monkeypatch.setattr(address, "__version__", "99.0")
    client.connect(open_checkpoint("demo"), LoadOptions(), 30.0).close()
    assert len({worker.process for worker in workers()}) == 2


def test_a_name_that_a_dead_worker_left_is_taken_over(runtime):
    from llava_cli.engine.types import LoadOptions
    from llava_cli.models.checkpoint import open_checkpoint

    client.connect(open_checkpoint("demo"), LoadOptions(), 30.0).close()
    (first,) = workers()
    os.kill(first.process, signal.SIGKILL)
    client.connect(open_checkpoint("demo"), LoadOptions(), 30.0).close()
    (second,) = workers()
    assert second.process != first.process
    assert second.path == first.path


def test_a_pipe_ends_though_the_worker_lives_on(runtime, video):
    program = (
        "import sys; from llava_cli.session import Session; from llava_cli.request import Request\n"
        "with Session('demo', keep_s=30.0) as session: print(session.ask(Request('What moves?', (sys.argv[1],))))"
    )
    done = subprocess.run([sys.executable, "-c", program, video], capture_output=True, timeout=100, check=True)
    assert done.stdout
    assert not done.stderr
    assert len(list(workers())) == 1


@pytest.mark.parametrize("trouble", ["no folder", "disk full", "foreign"])
def test_without_a_worker_it_is_answered_here(trouble, monkeypatch, tmp_path, video, plain, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none" if trouble == "no folder" else tmp_path))
    if trouble == "disk full":
        monkeypatch.setattr(client, "_start", full)
    if trouble == "foreign":
        (tmp_path / "llava").mkdir(mode=0o755)
    with _warm() as session:
        assert session.ask(_request(video)).text == plain
    assert ["answering in this process" in record.getMessage() for record in caplog.records] == [True]


def test_threads_of_a_session_may_end_it(runtime, video):
    with _warm() as session:
        stream = session.stream_of(_request(video))
        next(stream)
        stream.close()
        assert session.ask(_request(video)).text
    assert threading.active_count() < 20
