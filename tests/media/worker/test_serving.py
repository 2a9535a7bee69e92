# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from llava_cli.media.worker.serving import _received


def test_each_request_has_its_file_however_they_arrive(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with there:
        for number in range(3):
            (tmp_path / str(number)).write_text(str(number))
        with (tmp_path / "0").open() as zero, (tmp_path / "1").open() as one, (tmp_path / "2").open() as two:
            socket.send_fds(here, [b"fir"], [zero.fileno()])
            here.sendall(b"st\n")
            socket.send_fds(here, [b"second\nthi"], [one.fileno()])
            socket.send_fds(here, [b"rd\nand never en"], [two.fileno()])
        here.close()
        requests = list(_received(there))
    assert [line for line, _ in requests] == [b"first", b"second", b"third"]
    for number, (_, descriptor) in enumerate(requests):
        assert os.read(descriptor, 10) == b"%d" % number
        os.close(descriptor)


def test_a_process_that_serves_prints_nothing_any_more() -> None:
    program = (
        "import os, resource, sys; from llava_cli.media.worker.serving import keep_to_itself; keep_to_itself()\n"
        "os.write(1, b'x'); os.write(2, b'x'); os._exit(resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
