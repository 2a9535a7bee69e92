# SPDX-License-Identifier: Apache-2.0
"""stdout carries the answer and nothing else; files are written whole or not at all."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from llava_cli.errors import OutputError, UsageError
from llava_cli.output import Output, complain, console


def test_what_libraries_print_goes_to_stderr():
    program = """
import os
from llava_cli.output import Output, guarded_stdout
with guarded_stdout() as stdout:
    print("a library's chatter")
    os.write(1, b"native chatter\\n")
    os.system("echo a program called")
    Output(stdout).write("the answer\\n")
print("afterwards")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "the answer\nafterwards\n"
    assert set(done.stderr.splitlines()) == {"a library's chatter", "native chatter", "a program called"}


def test_a_terminal_gets_no_control_sequences():
    """An answer, or a file name in it, must not write the clipboard, the title or over earlier lines."""
    master, slave = os.openpty()
    try:
        Output(slave).write("\x1b]52;c;aGk=\x07red\x9b31m\tand\rblue\n")
        shown = os.read(master, 1000)
    finally:
        os.close(master)
        os.close(slave)
    assert shown.replace(b"\r\n", b"\n").decode() == "\\x1b]52;c;aGk=\\x07red\\x9b31m\tand\\x0dblue\n"


def test_a_pipe_gets_every_character():
    reader, writer = os.pipe()
    Output(writer).write("naïve 猫 \x1b[1m \udcff\n")
    os.close(writer)
    assert os.read(reader, 1000).decode() == "naïve 猫 \x1b[1m \\udcff\n"
    os.close(reader)


def test_a_full_disk_is_one_clear_error():
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OutputError, match="stdout: cannot be written: the disk is full"):
        Output(full).write("answer")
    os.close(full)


def test_complaints_are_one_line(capfd):
    complain("llava: bad\nname\udcff\x1b[31m: no such file")
    assert capfd.readouterr().err == "llava: bad name\\udcff\\x1b[31m: no such file\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "notice warning error"), ({"quiet": True}, "error"), ({"verbose": True}, "detail notice warning error")],
)
def test_what_is_logged_is_said_on_stderr(capfd, options, said):
    log = logging.getLogger("llava_cli.test")
    with console(**options):
        log.debug("detail")
        log.info("notice")
        log.warning("warning")
        log.error("error")
    log.error("nobody's")
    assert capfd.readouterr().err == "".join(f"llava: {word}\n" for word in said.split())


def test_on_a_terminal_lines_are_broken_as_they_are_shown():
    """What is made visible takes columns too."""
    master, slave = os.openpty()
    try:
        out = Output(slave)
        out.width = lambda: 12
        out.write_pieces(iter(["one ", "\u202etwo", " three"]))
        shown = b""
        while not shown.endswith(b"three\r\n"):
            shown += os.read(master, 1000)
        assert shown == b"one\r\n\\u202etwo\r\nthree\r\n"
    finally:
        os.close(master)
        os.close(slave)


def test_an_answer_that_fails_before_its_first_word_leaves_the_line_alone():
    def failing():
        raise OutputError("no words")
        yield ""

    reader, writer = os.pipe()
    with pytest.raises(OutputError):
        Output(writer).write_pieces(failing())
    os.close(writer)
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_to_be_quiet_and_verbose_is_asked_too_much():
    with pytest.raises(UsageError, match="cannot be used together"), console(quiet=True, verbose=True):
        pass
