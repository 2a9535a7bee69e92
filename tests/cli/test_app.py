# SPDX-License-Identifier: Apache-2.0
"""The program around the commands: quick to start, and clear about how it ended."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli.programs import wait_for_reader

from llava_cli import __version__
from llava_cli.cli.app import app
from llava_cli.cli.command import walk
from llava_cli.cli.help import examples, long_name

HEAVY = ("torch", "transformers", "av", "cv2", "numpy", "PIL", "bitsandbytes", "accelerate")


COMMANDS = [name.split()[1:] for name, _ in walk(typer.main.get_command(app))]


@pytest.mark.parametrize("arguments", [["--version"], [], *([*command, "--help"] for command in COMMANDS)])
def test_help_loads_no_heavy_library(arguments):
    """Completion starts the program at every TAB."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llava_cli", *arguments], capture_output=True, text=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY)


def test_version(llava):
    result = llava("--version")
    assert (result.code, result.out) == (0, f"llava {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "-h"]])
def test_help_is_on_stdout(llava, arguments):
    result = llava(*arguments)
    assert result.code == 0
    assert "Usage" in result.out
    assert result.err == ""


@pytest.mark.parametrize("command", [c for _, c in walk(typer.main.get_command(app))], ids=lambda c: c.name)
def test_every_command_has_help_and_examples_and_every_option_too(command):
    assert command.help
    assert examples(command)
    assert [long_name(param) for param in command.params if not param.help] == []


def test_help_shows_examples_before_options_and_fits_a_narrow_window(llava, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    lines = llava("ask", "--help").out.splitlines()
    assert lines.index("Examples:") < lines.index("Arguments:") < lines.index("Frames:") < lines.index("Output:")
    after = lines[lines.index("Arguments:") :]
    assert max(map(len, after)) <= 50


def test_alone_it_prints_a_short_page(llava):
    result = llava()
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") < 15
    assert "llava --help" in result.out


def test_an_unknown_command_suggests_and_is_a_usage_error(llava):
    result = llava("aks", "x.mp4", "Why?")
    assert result.code == 2
    assert "ask" in result.err


def test_a_bug_is_one_line_and_a_log(llava, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("llava_cli.session.open_family", lambda *_: 1 / 0)
    result = llava("ask", "x.mp4", "Why?", "-m", "demo")
    assert result.code == 70
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    (log,) = (tmp_path / "llava").iterdir()
    assert str(log) in result.err
    assert "ZeroDivisionError" in log.read_text()
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, b""), (signal.SIGTERM, 143, b"llava: terminated\n")]
)
def test_signals_end_it_quietly(tmp_path: Path, tiny: Path, number, code, words):
    fifo = tmp_path / "never-written"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "llava_cli", "ask", fifo, "Why?", "-m", tiny],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    writer = wait_for_reader(fifo)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    os.close(writer)
    assert (process.returncode, out, err) == (code, b"", words)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-V"], ["ask", "-h"], ["frames", "CLIP"], ["models", "show"]])
@pytest.mark.parametrize("stdout", ["full", "closed"])
def test_a_stdout_that_takes_nothing_is_exit_code_6_and_one_line(rendered, arguments, stdout):
    """No bug, no traceback, and no word of Python's own at the end."""
    model = ["-m", "demo"] if arguments[:1] == ["frames"] else ["demo"] if arguments[:1] == ["models"] else []
    named = [str(rendered("one_frame")) if argument == "CLIP" else argument for argument in arguments] + model
    done = in_shell(f"{'>/dev/full' if stdout == 'full' else '>&-'}", *named)
    assert done.returncode == 6
    assert done.stderr.splitlines()[-1] == (
        "llava: stdout: cannot be written: the disk is full"
        if stdout == "full"
        else "llava: standard output is closed; redirect it to a file, or to /dev/null"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (["frames", "CLIP", "-m", "demo"], 0, "1 frame"),
        (["ask", "CLIP", "What?", "-m", "demo", "--max-new-tokens", "2"], 0, "\n"),
        (["frames", "none.mp4", "-m", "demo"], 3, ""),
        (["ask", "--nope"], 2, ""),
        (["--help"], 0, "Usage"),
    ],
)
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_changes_nothing(rendered, arguments, code, out, stderr):
    """As cron may start programs."""
    named = [str(rendered("one_frame")) if argument == "CLIP" else argument for argument in arguments]
    done = in_shell(stderr, *named)
    assert (done.returncode, done.stderr) == (code, "")
    assert out in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", "CLIP", "What?", "-m", "demo", "--max-new-tokens", "2"], 0, ""),
        (["ask", "-", "What?", "-m", "demo"], 3, "standard input is closed"),
        (["batch", "-", "-m", "demo"], 3, "standard input is closed"),
        (["caption", "--files-from", "-", "-m", "demo"], 3, "standard input is closed"),
        (["ask", "CLIP", "-p", "-"], 3, "standard input is closed"),
        (["chat", "CLIP"], 2, "standard input is closed"),
    ],
)
def test_a_closed_stdin_is_said_to_be_where_it_is_needed(rendered, arguments, code, said):
    named = [str(rendered("one_frame")) if argument == "CLIP" else argument for argument in arguments]
    done = in_shell("<&-", *named)
    assert done.returncode == code
    assert said in done.stderr
    assert "bug" not in done.stderr


def test_no_file_takes_the_place_of_a_closed_stream(rendered):
    done = in_shell("<&- >&- 2>&-", "frames", str(rendered("one_frame")), "-m", "demo")
    assert (done.returncode, done.stdout, done.stderr) == (6, "", "")


def in_shell(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program with its standard streams redirected so."""
    script = f'"$@" {streams}'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "llava_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_completion_that_cannot_be_installed_is_no_bug(llava, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: "bash")
    result = llava("--install-completion")
    assert result.code == 6
    assert result.err.startswith(f"llava: {tmp_path / 'file'}")
    assert "cannot be written" in result.err


def test_a_full_disk_anywhere_is_no_bug(llava, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/copy")

    monkeypatch.setattr("llava_cli.session.open_family", full)
    result = llava("ask", "x.mp4", "Why?", "-m", "demo")
    assert (result.code, result.err) == (6, "llava: /tmp/copy: cannot be written: the disk is full\n")
