# SPDX-License-Identifier: Apache-2.0
"""A process of this program's own, which serves requests: how it is started, told, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

# The parent's own search path, and not the current folder, which -m or -c would put before it.
PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from llava_cli.media.worker.child import main; main()"
FETCHER = PROGRAM.replace(".child", ".fetcher")
SCENES = PROGRAM.replace("main()", "main('llava_cli.media.scenes')")
"""Finds scenes too, for which it takes more time to start."""

KEPT = (
    "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
)  # fmt: skip
"""Variables that it needs to find its libraries, certificates and temporary files. No tokens, no settings."""


class Process:
    """A running process. Its standard input is a socket: with each request comes an open file."""

    def __init__(self, program: str) -> None:
        """Start it.

        Raises:
            OSError: no process can be had.
        """
        # Its arithmetic is FFmpeg's; numpy's threads would cost memory and time to start.
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._socket, theirs = socket.socketpair()
        try:
            with theirs, _signals_held():
                self._process = subprocess.Popen(  # noqa: S603 - this program, our own
                    [sys.executable, "-S", "-c", program, *sys.path],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    env=environment,
                )
        except BaseException:
            self._socket.close()
            raise
        self.pid = self._process.pid
        self.output = cast(IO[bytes], self._process.stdout).fileno()
        """What it says."""

    def send(self, request: bytes, descriptor: int) -> None:
        """Tell it a request, and hand it an open file.

        Raises:
            ConnectionError: it has ended.
        """
        sent = socket.send_fds(self._socket, [request], [descriptor])
        self._socket.sendall(request[sent:])

    def hang_up(self) -> None:
        """Send nothing more, which tells it to end."""
        self._socket.close()

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int:
        return self._process.wait(seconds)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> str:
        """Kill it if it lives; how it ended."""
        self.kill()
        code = self.wait()
        self.hang_up()
        with suppress(OSError):
            cast(IO[bytes], self._process.stdout).close()
        return ending(code)


def ending(code: int) -> str:
    """How a process ended, by its return code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


_AHEAD: list[Process] = []


def start_ahead() -> None:
    """Start a decoding process before there is anything to decode: it takes a while to be ready."""
    with suppress(OSError):  # whoever needs one will say so
        _AHEAD.append(Process(PROGRAM))


def decoding_process(scenes: bool = False) -> Process:
    """The process that was started ahead, or a new one.

    Args:
        scenes: it is to find scenes, too.

    Raises:
        OSError: no process can be had.
    """
    if scenes:
        return Process(SCENES)
    try:
        return _AHEAD.pop()
    except IndexError:
        return Process(PROGRAM)


def end_ahead() -> None:
    """End the process that was started ahead, if nobody took it."""
    while _AHEAD:
        _AHEAD.pop().end()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have a process that starts meanwhile never hear of signals to the whole group: when to end it is ours to say."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
