# SPDX-License-Identifier: Apache-2.0
"""The other end of a `Process`: the requests that come to it."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue

from llava_cli.media.worker.wire import LONGEST

Requests = SimpleQueue[tuple[bytes, int]]
"""Each request and the descriptor that came with it, which is the taker's to close."""


def keep_to_itself() -> None:
    """Print nothing from here on, and leave no core, which would hold what was read."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def take_requests(given: socket.socket) -> Requests:
    """Take requests, in a thread that ends the process where the parent is gone, even inside of what hangs."""
    requests: Requests = SimpleQueue()
    threading.Thread(target=_take, args=(given, requests), daemon=True).start()
    return requests


def _take(given: socket.socket, requests: Requests) -> None:
    with suppress(OSError):
        for request in _received(given):
            requests.put(request)
    os._exit(0)


def _received(given: socket.socket) -> Iterator[tuple[bytes, int]]:
    text, descriptors = b"", list[int]()
    while True:
        more, handed, *_ = socket.recv_fds(given, 1 << 16, 1)
        if not more or len(text) > LONGEST:
            return
        text, descriptors = text + more, descriptors + handed
        while b"\n" in text and descriptors:
            line, _, text = text.partition(b"\n")
            yield line, descriptors.pop(0)
