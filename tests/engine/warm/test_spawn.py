# SPDX-License-Identifier: Apache-2.0
"""Processes of this program's own, and what they are handed."""

from __future__ import annotations

import json
import os
import socket
import sys

from llava_cli.engine.warm.spawn import spawn

PROGRAM = """
import json, os, socket, sys
def main():
    told = [os.getcwd(), os.getsid(0), os.environ["MINE"], os.environ["THEIRS"], sys.path]
    with socket.socket(fileno=int(sys.argv[1])) as given:
        given.sendall(json.dumps(told).encode())
"""


def test_it_is_handed_its_socket_and_has_this_process_s_path_and_a_session_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "program_of_a_test.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MINE", "kept")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = spawn("program_of_a_test", theirs, {"MINE": "changed", "THEIRS": "new"}, tmp_path)
        theirs.close()
        with ours.makefile() as said:
            folder, session, mine, other, path = json.load(said)
        assert process.wait(30) == 0
    assert (folder, mine, other) == (str(tmp_path), "kept", "new")
    assert session == process.pid != os.getsid(0)
    assert path == sys.path
