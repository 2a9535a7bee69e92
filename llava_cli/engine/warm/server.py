# SPDX-License-Identifier: Apache-2.0
"""The worker: keeps one loaded checkpoint, answers one client at a time in the order in which they ask, and ends when
nobody has asked for a while.

It was given the socket that it listens on; its name is removed when it ends. It reads no media: clips come decoded.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llava_cli.engine.types import LoadOptions
from llava_cli.engine.warm.address import is_ours
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.errors import LlavaError, first_line
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.registry import family_of

_UNREAD_S = 30.0
"""How long a client may leave its answer unread, before others get their turn."""
_TELL_S = 0.1
"""How often a client is told how far a stage is, beside its beginning and its end."""
_LOOK_S = 0.2
"""How often to look whether it is time to end."""


class Turns:
    """Lets threads work one at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._order: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, wait: Any) -> Iterator[None]:
        """A turn; `wait` is called where others are first."""
        ticket = object()
        with self._changed:
            self._order.append(ticket)
            first = self._order[0] is ticket
        try:
            if not first:
                wait()
            with self._changed:
                self._changed.wait_for(lambda: self._order[0] is ticket)
            yield
        finally:
            with self._changed:
                self._order.remove(ticket)
                self._changed.notify_all()

    @property
    def busy(self) -> bool:
        return bool(self._order)


class Server:
    """One checkpoint and its clients."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._turns = Turns()
        self._lock = threading.Lock()
        self._clients = 0
        self._keep_s = 60.0
        self._idle_since = self._started = time.monotonic()
        self._loader: Any = None
        self._engine: Any = None
        self._holds: tuple[Checkpoint, LoadOptions] | None = None
        self._served: Channel | None = None
        """Whose turn it is."""
        self._told_at = 0.0

    def serve(self) -> None:
        """Let clients in until there have been none for a while."""
        self._listening.settimeout(_LOOK_S)
        while not self._over():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            with self._lock:
                self._clients += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _over(self) -> bool:
        with self._lock:
            return not self._clients and time.monotonic() - self._idle_since > self._keep_s

    def _serve(self, connection: socket.socket) -> None:
        channel = Channel(connection, _UNREAD_S)
        try:
            if is_ours(connection):
                while True:
                    self._do(channel, *channel.receive())
        except Gone:
            pass
        finally:
            channel.close()
            with self._lock:
                self._clients -= 1
                self._idle_since = time.monotonic()

    def _do(self, channel: Channel, name: str, arguments: Any) -> None:
        """One thing that a client wants, and what came of it."""
        if name == "stop":
            return  # came when the answer had ended
        if name in ("hello", "status"):
            channel.send(("result", getattr(self, f"_{name}")(*(() if name == "status" else arguments))))
            return
        try:
            with (
                self._turns.turn(lambda: channel.send(("log", (logging.INFO, "waiting for the worker's other work")))),
                self._serving(channel),
            ):
                result = self._stream(channel, *arguments) if name == "stream" else self._call(name, *arguments)
        except Gone:
            raise
        except LlavaError as error:
            channel.send(("error", error.with_traceback(None)))
        except Exception as error:
            # What nobody foresaw happens again in the client's own process, with a log of its own.
            raise Gone(first_line(error)) from error
        else:
            channel.send(("result", result))

    def _hello(self, checkpoint: Checkpoint, options: LoadOptions, keep_s: float) -> None:
        with self._lock:
            self._holds = self._holds or (checkpoint, options)
            self._keep_s = keep_s

    def _status(self) -> dict[str, Any]:
        """What `llava worker list` shows."""
        checkpoint, options = self._holds or (None, None)
        return {
            "process": os.getpid(),
            "checkpoint": checkpoint.name if checkpoint else None,
            "device": self._loader.device if self._loader is not None else options.device if options else None,
            "loaded": self._engine is not None,
            "busy": self._turns.busy,
            "clients": self._clients - 1,
            "keep_s": self._keep_s,
            "idle_s": 0.0 if self._clients > 1 else time.monotonic() - self._idle_since,
            "age_s": time.monotonic() - self._started,
        }

    def _call(self, name: str, *arguments: Any) -> Any:
        loader = self._loaded_files()
        match name:
            case "info":
                return loader.info
            case "prompt" | "plan" | "check_memory":
                return getattr(loader, name)(*arguments)
            case "load":
                return self._loaded().info
            case "answer":
                return self._loaded().answer(*arguments)
        raise Gone(f"asks for {name!r}")

    def _stream(self, channel: Channel, query: Any, cache: Any) -> Any:
        """Generate, and send each piece; what the client says meanwhile, or its end, ends the answer."""
        pieces = self._loaded().stream(query, cache, channel.waiting)
        try:
            while True:
                piece = next(pieces)
                if piece:
                    channel.send(("piece", piece))
        except StopIteration as end:
            return end.value
        finally:
            pieces.close()

    def _loaded_files(self) -> Any:
        if self._loader is None:
            from llava_cli.engine.loader import Loader

            if self._holds is None:
                raise Gone("asks before it has said what for")
            checkpoint, options = self._holds
            self._loader = Loader(family_of(checkpoint), options)
        return self._loader

    def _loaded(self) -> Any:
        if self._engine is None:
            self._engine = self._loaded_files().load(self._tell)
        return self._engine

    @contextmanager
    def _serving(self, channel: Channel) -> Iterator[None]:
        """Have the client say what this process would say on stderr, and show how far its answer is."""
        self._served = channel
        try:
            with _told_to(channel):
                yield
        finally:
            self._served = None

    def _tell(self, stage: str, count: int, total: int) -> None:
        now = time.monotonic()
        if self._served is not None and (count in (0, total) or now - self._told_at > _TELL_S):
            self._told_at = now
            self._served.send(("progress", (stage, count, total)))


@contextmanager
def _told_to(channel: Channel) -> Iterator[None]:
    """Have what this process would say on stderr said by the client."""
    handler = _ToClient(channel)
    root = logging.getLogger("llava_cli")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _ToClient(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.INFO)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Gone):
            self._channel.send(("log", (record.levelno, "%s", record.getMessage())))


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    logging.getLogger("llava_cli").setLevel(logging.INFO)
    listening = socket.socket(fileno=int(sys.argv[1]))
    listening.listen()  # from now on this process is the one that clients see at the other end
    path = Path(listening.getsockname())
    mine = path.stat().st_ino
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end(path, mine))
    Server(listening).serve()
    _end(path, mine)


def _end(path: Path, mine: int) -> None:
    """End at once, whatever other threads do; a name that another worker has taken meanwhile stays."""
    with suppress(OSError):
        if path.stat().st_ino == mine:
            path.unlink()
    os._exit(0)
