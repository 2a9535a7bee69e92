# SPDX-License-Identifier: Apache-2.0
"""The program around the commands: quick to start, and clear about how it ended."""

from __future__ import annotations

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
