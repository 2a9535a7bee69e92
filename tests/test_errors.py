# SPDX-License-Identifier: Apache-2.0
"""Errors: each kind has an exit code and a name, and each message is one line."""

from __future__ import annotations

import errno

import pytest

from llava_cli.errors import (
    ExitCode,
    InputError,
    LlavaError,
    ModelError,
    OutOfMemory,
    OutputError,
    Terminated,
    UsageError,
    first_line,
    write_failure,
)


def test_each_kind_has_its_exit_code_and_its_name():
    kinds = {UsageError: 2, InputError: 3, ModelError: 4, OutOfMemory: 5, OutputError: 6}
    assert {kind: kind("x").exit_code for kind in kinds} == kinds
    assert [kind("x").code for kind in kinds] == ["usage", "input", "model", "out_of_memory", "output"]
    assert InputError("x", code="decoder_crashed").code == "decoder_crashed"
    assert InputError.code == "input"
    assert set(kinds) == {kind for kind in LlavaError.__subclasses__() if kind.__module__ == LlavaError.__module__}


def test_an_exit_code_is_a_number_that_scripts_see():
    assert f"{ExitCode.INPUT:d}" == "3"
    assert len({int(code) for code in ExitCode}) == len(ExitCode.__members__)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "a.json: cannot be written: the disk is full"),
        (OSError(errno.EACCES, "Permission denied"), "a.json: cannot be written: Permission denied"),
        (OSError("odd"), "a.json: cannot be written: odd"),
    ],
)
def test_what_keeps_a_file_from_being_written(error, message):
    assert str(write_failure("a.json", error)) == message


def test_the_first_line_of_what_a_library_says():
    assert first_line(ValueError("\n  one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"


def test_no_handler_of_errors_swallows_a_signal():
    assert not issubclass(Terminated, Exception)
