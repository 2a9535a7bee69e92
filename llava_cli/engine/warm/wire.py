# SPDX-License-Identifier: Apache-2.0
"""Messages between a program and its worker, both of the same user and the same version, over a Unix socket.

Messages are pickles: what is at the other end could as well run any program as this user. Clips, stills and caches of
keys and values travel once and are referred to by number from then on, so that both ends keep one object for one
thing; each is given up when its owner has dropped it.
"""

from __future__ import annotations

import io
import itertools
import pickle
import select
import socket
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from llava_cli.engine.kv_cache import KVCache
from llava_cli.media.clip import Clip, Still

_BY_REFERENCE = (Clip, Still, KVCache)
_LENGTH = struct.Struct("!Q")
_LARGEST = 1 << 40


class Gone(ConnectionError):
    """The other end has closed, or what it sends makes no sense."""


def dump(message: Any, reference_to: Callable[[Any], Any]) -> bytes:
    """A message without its clips, stills and caches, in whose place stands what each is referred to by."""
    body = io.BytesIO()
    pickler = pickle.Pickler(body, pickle.HIGHEST_PROTOCOL)
    pickler.persistent_id = lambda one: reference_to(one) if isinstance(one, _BY_REFERENCE) else None  # type: ignore[method-assign]
    pickler.dump(message)
    return body.getvalue()


def load(body: bytes, referred_to: Callable[[Any], Any]) -> Any:
    """A message, with what its references stand for."""
    unpickler = pickle.Unpickler(io.BytesIO(body))  # noqa: S301 - this user's own process
    unpickler.persistent_load = referred_to  # type: ignore[method-assign]
    return unpickler.load()


class Channel:
    """One end of a connection. One thread sends and receives; `waiting` is for any."""

    def __init__(self, connection: socket.socket, timeout_s: float | None = None) -> None:
        """`timeout_s`: how long the other end may leave what it is sent unread."""
        self.connection = connection
        connection.settimeout(timeout_s)
        self._sending = threading.Lock()
        self._numbers: dict[int, int] = {}
        """Of the objects that both ends know, by their identity here."""
        self._own: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._theirs: dict[int, Any] = {}
        self._counter = itertools.count()
        self._dropped: deque[int] = deque()

    def send(self, message: Any) -> None:
        """Send any message.

        Raises:
            Gone: nobody is there.
        """
        with self._sending:
            fresh: dict[int, Any] = {}
            body = dump(message, lambda thing: self._number(thing, fresh))
            dropped = [self._dropped.popleft() for _ in range(len(self._dropped))]
            letter = pickle.dumps((dropped, fresh, body), pickle.HIGHEST_PROTOCOL)
            try:
                self.connection.sendall(_LENGTH.pack(len(letter)))
                self.connection.sendall(letter)
            except OSError as error:
                raise Gone("the connection is closed") from error

    def receive(self, within_s: float | None = None) -> Any:
        """The next message; waits for it, for ever or so many seconds.

        Raises:
            Gone: there will be none, or it does not begin in time.
        """
        if not self.waiting(within_s):
            raise Gone("it does not answer")
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _LARGEST:
            raise Gone("a message that is too large")
        try:
            dropped, fresh, body = pickle.loads(self._read(length))  # noqa: S301 - this user's own process
            for number in dropped:
                known = self._theirs.pop(number, None)
                self._numbers.pop(id(known), None)
            for number, thing in fresh.items():
                self._theirs[number] = thing
                self._numbers[id(thing)] = -number - 1
            return load(body, self._thing)
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, LookupError, TypeError, ValueError) as e:
            raise Gone(f"a message that makes no sense: {e}") from e

    def waiting(self, within_s: float | None = 0) -> bool:
        """Whether the other end has said something, or has closed."""
        return bool(select.select([self.connection], [], [], within_s)[0])

    def close(self) -> None:
        self.connection.close()

    def _read(self, length: int) -> bytearray:
        letter = bytearray(length)
        room = memoryview(letter)
        while room:
            try:
                count = self.connection.recv_into(room)
            except TimeoutError:
                continue  # only sending has a limit: the other end may take its time
            except OSError as error:
                raise Gone("the connection is closed") from error
            if not count:
                raise Gone("the connection is closed")
            room = room[count:]
        return letter

    def _number(self, thing: Any, fresh: dict[int, Any]) -> int:
        """The number that both ends know a thing by: 0 and up for the sender's own, below for the receiver's."""
        if id(thing) not in self._numbers:
            number = next(self._counter)
            self._numbers[id(thing)] = number
            self._own[number] = thing
            weakref.finalize(thing, self._forget, number, id(thing)).atexit = False
            fresh[number] = thing
        return self._numbers[id(thing)]

    def _forget(self, number: int, identity: int) -> None:
        self._numbers.pop(identity, None)
        self._dropped.append(number)

    def _thing(self, number: int) -> Any:
        """What a number that was received stands for."""
        return self._theirs[number] if number >= 0 else self._own[-number - 1]
