# SPDX-License-Identifier: Apache-2.0
"""Questions of --prompt: typed, from files, from standard input."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from llava_cli.cli.questions import read_questions
from llava_cli.errors import InputError, UsageError


def test_questions_are_what_is_typed_or_what_a_file_holds(tmp_path):
    (tmp_path / "question.txt").write_bytes("\ufeffWhy?\nBecause?\n".encode())
    given = ["What?", f"@{tmp_path}/question.txt", "@", "a@b"]
    assert read_questions(given) == ["What?", "Why?\nBecause?", "@", "a@b"]
    assert read_questions(None) == read_questions([]) == []


def test_standard_input_is_read_where_it_is_named(monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, b"Why?\n")
    os.close(writer)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(fileno=lambda: reader, isatty=lambda: False))
    assert read_questions(["What?", "-"]) == ["What?", "Why?"]
    os.close(reader)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([""], UsageError, "the question is empty"),
        (["What?", "  "], UsageError, "the question is empty"),
        (["-", "-"], UsageError, "only once"),
        (["@none.txt"], InputError, "none.txt: no such file; --prompt @FILE asks what a file holds"),
        (["@."], InputError, "cannot be read from it: Is a directory"),
        (["@blank"], UsageError, "the question is empty"),
        (["@bytes"], InputError, "bytes: is not UTF-8 text"),
        (["@long"], InputError, "is longer than 1 MiB"),
    ],
)
def test_what_is_no_question_is_said_to_be_none(tmp_path, monkeypatch, given, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "bytes").write_bytes(b"Why\xff?")
    (tmp_path / "long").write_bytes(b"a" * ((1 << 20) + 1))
    with pytest.raises(error, match=message):
        read_questions(given)


def test_nobody_is_left_waiting_for_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UsageError, match="is a terminal; pipe a question into it"):
        read_questions(["-"])
