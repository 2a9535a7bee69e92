# SPDX-License-Identifier: Apache-2.0
"""The last line of a terminal: a stage, how far it is, how long it takes, and nothing that could do it harm."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from llava_cli import status
from llava_cli.status import Status, duration


class Terminal:
    """A terminal in the place of stderr, and what it was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.sent = b""
        self._monkeypatch = monkeypatch
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def status(self, quiet: bool = False) -> Status:
        """What is shown there. In the test itself: pytest puts its own stderr back before each."""
        self._monkeypatch.setattr("sys.stderr", self.stream)
        return Status(quiet)

    def _read(self) -> None:
        while True:
            try:
                self.sent += os.read(self.master, 65536)
            except OSError:
                return

    def wait_for(self, words: str) -> None:
        for _ in range(600):
            if words.encode() in self.sent:
                return
            time.sleep(0.05)
        raise AssertionError(f"no {words!r} in {self.sent!r}")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    made = Terminal(monkeypatch)
    with made.stream:
        yield made
    os.close(made.master)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed, to be changed."""
    now = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: now[0])
    return now


def line(shown: Status) -> str:
    return shown.__rich__().plain


def test_a_stage_says_how_much_is_done_and_how_long_the_rest_takes(clock):
    shown = Status(quiet=True)
    shown.progress("encoding 8 frames", 0, 200)
    assert line(shown) == "encoding 8 frames"
    clock[0] += 10
    shown.progress("encoding 8 frames", 50, 200)
    assert line(shown) == "encoding 8 frames: 25%, 30 s left"
    shown.progress("encoding 8 frames", 200, 200)
    assert line(shown) == ""


def test_a_stage_that_counts_nothing_says_how_long_it_has_taken(clock):
    shown = Status(quiet=True)
    shown.progress("loading", 0, 1)
    clock[0] += 12
    assert line(shown) == "loading, 12 s"


def test_of_stages_within_stages_the_innermost_is_shown():
    shown = Status(quiet=True)
    shown.progress("batches", 0, 1)
    shown.progress("encoding", 0, 1)
    assert line(shown) == "encoding"
    shown.progress("encoding", 1, 1)
    assert line(shown) == "batches"


def test_a_terminal_sees_it_until_words_come(terminal):
    shown = terminal.status()
    shown.progress("prefill of 5875 tokens", 0, 24)
    terminal.wait_for("prefill of 5875 tokens")
    with shown.hidden():
        terminal.wait_for("\x1b[?25h")  # the cursor is back
        before = len(terminal.sent)
        shown.progress("prefill of 5875 tokens", 24, 24)
        shown.progress("answering", 0, 9)
        time.sleep(0.3)
        assert terminal.sent[before:] == b""
    terminal.wait_for("answering")
    shown.close()


@pytest.mark.parametrize("name", ["dir[/x].mp4", "[red]a[/]", "\x1b]52;c;aGk=\x07\u202e\nname", "\ud83d"])
def test_no_name_is_markup_or_does_anything(terminal, name):
    shown = terminal.status()
    shown.progress(f"reading {name}", 0, 1)
    terminal.wait_for("reading")
    shown.close()
    with shown.bar() as report:
        report(1, 2, name)
        terminal.wait_for("1/2")
    assert b"\x1b]" not in terminal.sent
    assert "\u202e" not in terminal.sent.decode()
    if name.isascii() and name.isprintable():
        assert f"reading {name}".encode() in terminal.sent


def test_a_list_s_bar_shows_the_stage_beside_it(terminal):
    shown = terminal.status()
    with shown.bar() as report:
        report(3, 8, "0.50/s  clip.mp4")
        shown.progress("encoding 8 frames", 0, 4)
        terminal.wait_for("3/8")
        terminal.wait_for("clip.mp4  encoding 8 frames")
        with shown.hidden():
            before = len(terminal.sent)
            report(4, 8, "")
            time.sleep(0.3)
            assert b"4/8" not in terminal.sent[before:]
        terminal.wait_for("4/8")


def test_when_quiet_nothing_is_shown(terminal):
    check_nothing_is_shown(terminal.status(quiet=True))
    assert terminal.sent == b""


def test_without_a_terminal_nothing_is_shown(capfd):
    check_nothing_is_shown(Status())
    assert capfd.readouterr().err == ""


def check_nothing_is_shown(shown: Status) -> None:
    shown.progress("reading", 0, 1)
    with shown.bar() as report:
        report(1, 2, "")
    shown.close()


def test_durations_are_said_as_people_would():
    assert [duration(s) for s in (0.4, 42, 99, 150, 5400, 9000)] == ["0 s", "42 s", "99 s", "2 min", "90 min", "2 h"]
