# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own: what it is told, what it says, and that it never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from engine.pool.seats import TERMS, StubRunner, prompted, query, until

from llava_cli.engine.pool.process import ProcessSeat
from llava_cli.engine.pool.seam import Died
from llava_cli.errors import ModelError

TESTS = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def seat():
    seat = ProcessSeat("here", StubRunner())
    yield seat
    seat.kill()
    seat.end()


@pytest.fixture
def loaded(seat):
    assert seat.start() == TERMS
    seat.load()
    return seat


def pid_of(seat: ProcessSeat) -> int:
    return int(str(seat.answer([query("pid")]).said))


def test_it_answers_about_the_very_media_that_it_was_given(loaded):
    asked = [prompted(query("a")), prompted(query("b"))]
    outcome = loaded.answer(asked)
    assert [one.text for one in outcome.said] == ["A", "B"]
    assert all(o.media[0] is q.conversation.media[0] for o, q in zip(outcome.said, asked, strict=True))
    assert pid_of(loaded) != os.getpid()


@pytest.mark.parametrize(("question", "how"), [("die", "SIGKILL"), ("exit", "exit code 7"), ("raise", "exit code 1")])
def test_a_process_that_ends_is_told_with_how_and_another_one_is_started(loaded, logs, question, how):
    before = pid_of(loaded)
    with pytest.raises(Died, match=how):
        loaded.answer([query(question)])
    with pytest.raises(Died):
        loaded.answer([query()])
    assert loaded.start() == TERMS
    assert pid_of(loaded) != before
    assert ("ZeroDivisionError" in "".join(log.read_text() for log in logs.glob("*"))) is (question == "raise")


def test_why_it_cannot_be_loaded_is_told():
    seat = ProcessSeat("here", StubRunner(loads=False))
    seat.start()
    with pytest.raises(ModelError, match="stub: is damaged"):
        seat.load()
    seat.end()


def test_ending_it_does_not_wait_for_its_answer(tmp_path):
    seat = ProcessSeat("here", StubRunner())
    seat.start()
    process = psutil.Process(pid_of(seat))
    died = []

    def ask() -> None:
        try:
            seat.answer([query(f"sleep {tmp_path / 'asleep'}")])
        except Died as death:
            died.append(str(death))

    thread = threading.Thread(target=ask)
    thread.start()
    until((tmp_path / "asleep").exists)
    seat.kill()
    thread.join(30)
    assert died == ["SIGKILL"]
    assert not process.is_running()


def test_signals_of_the_terminal_are_not_for_it(loaded):
    os.kill(pid_of(loaded), signal.SIGINT)
    assert os.getpgid(pid_of(loaded)) != os.getpgid(0)


def test_it_ends_with_whoever_started_it_in_the_middle_of_an_answer(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from engine.pool.seats import StubRunner, query\n"
        "from llava_cli.engine.pool.process import ProcessSeat\n"
        "seat = ProcessSeat('here', StubRunner()); seat.start()\n"
        "print(seat.answer([query('pid')]).said, flush=True); seat.answer([query(f'sleep {sys.argv[2]}')])\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, TESTS, tmp_path / "asleep"], stdout=subprocess.PIPE)
    child = psutil.Process(int(starter.stdout.readline()))
    until((tmp_path / "asleep").exists)
    starter.kill()
    starter.communicate()
    child.wait(30)
