# SPDX-License-Identifier: Apache-2.0
"""The process of an engine that `process` starts: one runner, which does as it is told over a socket."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any

from llava_cli.bugs import as_failure, log_of
from llava_cli.engine.warm.wire import Channel, Gone


def main() -> None:
    """Serve whoever holds the other end of the socket whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    with suppress(Gone):
        serve(Channel(connection))
    os._exit(0)


def serve(channel: Channel) -> None:
    """Do what is asked until the other end is gone. The first thing is `start`, with the runner.

    Raises:
        Gone: nobody is there any more.
    """
    runner: Any = None
    while True:
        name, arguments = channel.receive()
        try:
            if name == "start":
                (runner,) = arguments
                arguments = ()
            result = getattr(runner, name)(*arguments)
        except BaseException as error:
            if name == "answer":  # an engine that cannot even say what went wrong is none any more
                log_of(error)
                os._exit(1)
            channel.send(("error", as_failure(error).with_traceback(None)))
        else:
            channel.send(("result", result))
        del arguments  # nothing is held while the next is awaited
        result = None


def _end_with(connection: socket.socket) -> None:
    """End at once where the other end has gone, in the middle of an answer too."""
    hung_up = select.poll()
    hung_up.register(connection, 0)
    hung_up.poll()
    os._exit(0)
