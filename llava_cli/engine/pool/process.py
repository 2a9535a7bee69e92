# SPDX-License-Identifier: Apache-2.0
"""An engine in a process of its own on this machine, asked over a socket."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.pool.seam import Died, Outcome, Terms
from llava_cli.engine.types import Query
from llava_cli.engine.warm.spawn import spawn
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.media.worker.process import ending

_END_S = 5.0
"""How long a process may take to end by itself, once its socket has closed."""


class ProcessSeat:
    """See `Seat`. The process ends with this one, however that ends."""

    def __init__(self, name: str, runner: Runner, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: variables for the process, where this one does not have them."""
        self.name = name
        self._runner = runner
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._killed = False

    def start(self) -> Terms:
        self.end()
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        with theirs:
            try:
                self._process = spawn("llava_cli.engine.pool.child", theirs, self._environment)
            except OSError as error:
                raise Died(f"no process can be had: {error}") from error
        if self._killed:  # meanwhile
            self._process.kill()
        return self._call("start", self._runner)

    def load(self) -> None:
        self._call("load")

    def answer(self, batch: Sequence[Query]) -> Outcome:
        return self._call("answer", list(batch))

    def kill(self) -> None:
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        self._ended()

    def _call(self, name: str, *arguments: Any) -> Any:
        """What the process says to that.

        Raises:
            Died: it has ended.
            LlavaError: as the runner does.
        """
        if self._channel is None:
            raise Died("it has not started")
        try:
            self._channel.send((name, arguments))
            kind, value = self._channel.receive()
        except Gone as error:
            raise Died(self._ended()) from error
        if kind == "error":
            raise value
        return value

    def _ended(self) -> str:
        """End the process, if it lives; how it ended."""
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if process is None:
            return "not started"
        try:
            return ending(process.wait(_END_S))  # which it may be doing already: then it says how
        except subprocess.TimeoutExpired:
            process.kill()
            return ending(process.wait())
