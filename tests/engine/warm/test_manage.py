# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from socket import AF_UNIX, socket

import pytest

from llava_cli.engine.types import LoadOptions
from llava_cli.engine.warm import client
from llava_cli.engine.warm.manage import stop, workers
from llava_cli.models.checkpoint import open_checkpoint


@pytest.fixture
def connected(runtime):
    return client.connect(open_checkpoint("demo"), LoadOptions(), 60.0)


def test_a_worker_tells_what_it_holds(connected):
    (worker,) = workers()
    assert worker.status["checkpoint"] == "demo"
    assert not worker.status["loaded"]
    assert worker.status["clients"] == 1
    connected.close()


def test_a_stopped_worker_is_gone(connected, runtime):
    (worker,) = workers()
    assert stop(worker)
    assert not list(workers())
    assert not list(runtime.glob("*.sock"))
    assert connected.waiting(20)
    connected.close()


def test_the_name_of_a_killed_worker_is_removed(connected, runtime):
    (worker,) = workers()
    os.kill(worker.process, signal.SIGKILL)
    assert connected.waiting(20)
    assert not list(workers())
    assert not list(runtime.glob("*.sock"))
    connected.close()


def test_one_of_another_version_can_be_stopped_all_the_same(runtime):
    runtime.mkdir(mode=0o700)
    path = runtime / "older.sock"
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True)\n"
        "while True: s.accept()[0].close()"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (worker,) = workers()
        assert worker.status == {}
        assert worker.process == process.pid
        assert stop(worker)
        assert process.wait(10) == -signal.SIGTERM


def test_where_there_is_no_folder_there_are_no_workers(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    assert list(workers()) == []


def test_what_does_not_listen_is_left_to_whoever_starts_one(runtime):
    runtime.mkdir(mode=0o700)
    with socket(AF_UNIX) as bound:
        bound.bind(str(runtime / "dead.sock"))
        from filelock import FileLock

        with FileLock(runtime / "dead.lock"):
            assert list(workers()) == []
            assert (runtime / "dead.sock").exists()
        assert list(workers()) == []
        assert not (runtime / "dead.sock").exists()
