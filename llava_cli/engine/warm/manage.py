# SPDX-License-Identifier: Apache-2.0
"""The workers that there are, and how to end one: of any version of the tool, as long as it listens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from filelock import FileLock, Timeout

from llava_cli.engine.warm.address import SUFFIX, folder, is_ours, lock_of, peer
from llava_cli.engine.warm.wire import Channel, Gone

_ASK_S = 5.0
_END_S = 5.0


@dataclass(frozen=True)
class Worker:
    """A process that listens."""

    path: Path
    process: int
    """0 where the system does not tell."""
    status: dict[str, Any] = field(default_factory=dict)
    """What it says of itself; nothing where it does not understand the question, as another version."""

    @property
    def name(self) -> str:
        return self.path.stem


def workers() -> Iterator[Worker]:
    """Those of this user. The names of dead ones are removed."""
    try:
        paths = sorted(folder().glob(f"*{SUFFIX}"))
    except OSError:
        return
    for path in paths:
        with socket(AF_UNIX) as connection:
            connection.settimeout(_ASK_S)
            try:
                connection.connect(os.fspath(path))
            except OSError:
                _remove_dead(path)
                continue
            if is_ours(connection):
                status = _status(connection)
                yield Worker(path, status.get("process", peer(connection)[0]), status)


def stop(worker: Worker) -> bool:
    """End a worker, whatever it does; whether it has ended."""
    if not worker.process:
        return False
    with suppress(ProcessLookupError):
        os.kill(worker.process, signal.SIGTERM)
    until = time.monotonic() + _END_S
    while time.monotonic() < until:
        if not _listens(worker.path):
            return True
        time.sleep(0.02)
    return False


def _remove_dead(path: Path) -> None:
    """Remove the name of a worker that was killed, unless somebody is about to take it."""
    with suppress(OSError, Timeout), FileLock(lock_of(path), timeout=0):
        if not _listens(path):
            path.unlink(missing_ok=True)


def _listens(path: Path) -> bool:
    with socket(AF_UNIX) as connection:
        try:
            connection.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _status(connection: socket) -> dict[str, Any]:
    channel = Channel(connection, _ASK_S)
    with suppress(Gone):
        channel.send(("status", ()))
        kind, said = channel.receive(_ASK_S)
        if kind == "result" and isinstance(said, dict):
            return said
    return {}
