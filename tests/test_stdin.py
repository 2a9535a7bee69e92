# SPDX-License-Identifier: Apache-2.0
"""Standard input in the place of a file: it is read, or it is said why not."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from llava_cli.errors import InputError
from llava_cli.stdin import open_stdin, stdin_is_terminal


@pytest.fixture
def standard_input(monkeypatch):
    """Put a file descriptor into the place of standard input."""
    opened = []

    def put(descriptor: int) -> int:
        opened.append(descriptor)
        stream = SimpleNamespace(fileno=lambda: descriptor, isatty=lambda: os.isatty(descriptor))
        monkeypatch.setattr("sys.stdin", stream)
        return descriptor

    yield put
    for descriptor in opened:
        os.close(descriptor)


def test_what_is_piped_in_is_read_and_stays_open(standard_input, tmp_path):
    (tmp_path / "text").write_bytes(b"hello")
    descriptor = standard_input(os.open(tmp_path / "text", os.O_RDONLY))
    with open_stdin() as stream:
        assert stream.read() == b"hello"
    assert os.fstat(descriptor).st_size == 5


def test_a_folder_is_said_to_be_one(standard_input, tmp_path):
    standard_input(os.open(tmp_path, os.O_RDONLY))
    with pytest.raises(InputError, match="Is a directory; name a file"):
        open_stdin()


def test_a_closed_one_is_said_to_be(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert not stdin_is_terminal()
    with pytest.raises(InputError, match="standard input is closed"):
        open_stdin()


def test_a_terminal_is_no_file(standard_input):
    master, slave = os.openpty()
    standard_input(slave)
    assert stdin_is_terminal()
    with pytest.raises(InputError, match="is a terminal"):
        open_stdin()
    os.close(master)
