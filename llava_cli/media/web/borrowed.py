# SPDX-License-Identifier: Apache-2.0
"""A file on the web as what reads it has it: a copy with holes, and somebody to ask for more of it.

A process that may not reach the web asks one that may: it sends where and how much, and gets a line of JSON once that
is here. Both have the copy open.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from llava_cli.media.errors import MediaError
from llava_cli.media.source import Source
from llava_cli.media.stream import Stream

BLOCK = 1 << 18
"""Bytes that are asked for at least."""

ASKED = struct.Struct("=qq")
LONGEST = 1 << 20


class Copy:
    """The part of a file on the web that is here, and the way to the rest. For any number of threads.

    Raises (all methods):
        MediaError: the server does not give what is asked for, or more than is allowed.
    """

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the whole file, once connected."""
        self.descriptor = -1
        """The copy, which has holes, once connected."""

    def connect(self) -> None:
        """Find the file, unless that is done."""
        raise NotImplementedError

    def fetch(self, offset: int, count: int) -> None:
        """Have some bytes, which the file has, in the copy."""
        raise NotImplementedError

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` on, as far as the file goes; the number of bytes there were."""
        count = min(len(buffer), self.size - offset)
        if count <= 0:
            return 0
        self.fetch(offset, count)
        return os.preadv(self.descriptor, [buffer[:count]], offset)


@dataclass(frozen=True)
class RemoteSource(Source):
    """A file on the web; `path` is its URL, which no decoder is given."""

    parts: Copy = field(kw_only=True)

    def stream(self) -> Stream:
        """The file, from its start.

        Raises:
            MediaError: it may not be read, or its server does not give it.
        """
        self.parts.connect()
        return Stream(self.parts)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        self.parts.connect()
        self.parts.fetch(0, self.parts.size)
        yield self.parts.descriptor


class Borrowed(Copy):
    """The file as the process that reads it has it. For any number of threads.

    Raises (all methods):
        MediaError: the server does not give what is asked for, or more than is allowed.
    """

    def __init__(self, channel: socket.socket) -> None:
        super().__init__()
        self._channel = channel
        self._lock = Lock()
        self._connected = False
        self._have: set[int] = set()

    def connect(self) -> None:
        with self._lock:
            if not self._connected:
                self.size, (self.descriptor,) = self._ask(0, 0)
                self._connected = True

    def fetch(self, offset: int, count: int) -> None:
        blocks = range(offset // BLOCK, -(-(offset + count) // BLOCK))
        with self._lock:
            if not self._have.issuperset(blocks):
                self._ask(offset, count)
                self._have.update(blocks)

    def close(self) -> None:
        self._channel.close()
        if self._connected:
            os.close(self.descriptor)

    def _ask(self, offset: int, count: int) -> tuple[int, list[int]]:
        """The size of the file, once so much of it is here, and its descriptor where nothing is asked for."""
        text, handed = b"", list[int]()
        try:
            self._channel.sendall(ASKED.pack(offset, count))
            while not text.endswith(b"\n"):
                more, descriptors, *_ = socket.recv_fds(self._channel, LONGEST, 1)
                if not more:
                    raise ConnectionResetError
                text, handed = text + more, handed + descriptors
        except ConnectionError as error:
            raise MediaError("cannot be downloaded: the process that does it has ended") from error
        answer = json.loads(text)
        if "error" in answer:
            raise MediaError(answer["error"])
        if "bug" in answer:
            raise AssertionError(answer["bug"])
        return int(answer["size"]), handed
