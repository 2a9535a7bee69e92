# SPDX-License-Identifier: Apache-2.0
"""What the user types: whole lines from a pipe, and TAB for commands and names of files."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from llava_cli.cli.prompting import _completion, questions

COMMANDS = ("/add", "/quit", "/undo")


def completions(text: str) -> list[str]:
    """All that TAB offers, as readline asks for it."""
    offered: list[str] = []
    while (name := _completion(text, len(offered), COMMANDS)) is not None:
        offered.append(name)
    return offered


def test_lines_from_a_pipe_without_empty_ones(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Why?\n\n   \n  How? \nlast"))
    assert list(questions(COMMANDS, interactive=False)) == ["Why?", "How?", "last"]


def test_commands_are_completed():
    assert completions("/") == list(COMMANDS)
    assert completions("/u") == ["/undo"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("clip.mp4", "clip[1].mp4", "other.mp4", "clips/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_names_of_files_are_completed_and_folders_end_with_a_slash(here):
    assert completions("cli") == ["clip.mp4", "clip[1].mp4", "clips/"]
    assert completions("clips/") == ["clips/a.mp4"]
    assert completions("~/oth") == [str(here / "other.mp4")]
    assert completions("none") == []


def test_what_was_typed_is_no_pattern(here):
    assert completions("clip[") == ["clip[1].mp4"]
    assert completions("*") == []
