# SPDX-License-Identifier: Apache-2.0
"""What runs in a decoder process: files in, frames out. Imports neither torch nor the commands."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from llava_cli.errors import InputError, LlavaError
from llava_cli.media import load_media
from llava_cli.media.clip import Media, View

READY = "ready"


@dataclass(frozen=True)
class Decoded:
    """What some files show."""

    media: list[Media]
    seconds: float


def serve(connection: Connection, threads: int, parent: int) -> None:
    """Decode what is asked for until the other end is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the parent decides when to end
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection.send(READY)
    while True:
        try:
            paths, view = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_decoded(paths, view, threads))


def _decoded(paths: Sequence[str], view: View, threads: int) -> Decoded | LlavaError:
    started = time.perf_counter()
    media = []
    for path in paths:
        try:
            media.append(load_media(path, view, threads=threads))
        except LlavaError as error:
            return error
        except Exception as error:  # whatever a decoder throws is about this file
            return InputError(f"{path}: cannot be decoded: {type(error).__name__}: {error}", code="decoder")
    return Decoded(media, time.perf_counter() - started)


def _end_with(parent: int) -> None:
    """End when the parent has been killed, even inside of a decoder that hangs."""
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)
