# SPDX-License-Identifier: Apache-2.0
"""How decoders read: a file object over bytes that can be had from any place.

No decoder is given a name. FFmpeg would take some for a protocol or a pattern, and the process that decodes may open
no file: it is handed one. Any number of streams read the same bytes, each with a position of its own.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import Any, Protocol

BUFFER = 1 << 16


class Bytes(Protocol):
    """What there is to read."""

    @property
    def size(self) -> int: ...

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` on, as far as the bytes go; the number of bytes there were. For any thread."""
        ...


class FileBytes:
    """Those of a regular file that is open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return os.preadv(self._descriptor, [buffer], offset)


class Stream(io.RawIOBase):
    """A position in some bytes."""

    def __init__(self, content: Bytes, on_close: Callable[[], None] = lambda: None) -> None:
        self._content, self._on_close = content, on_close
        self._offset = 0
        self._failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there. Before the start is no place: that is told as FFmpeg's own files do, which tries it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._content.size}.get(whence, 0)
        if origin + offset < 0:
            return -errno.EINVAL
        self._offset = origin + offset
        return self._offset

    def readinto(self, buffer: Any) -> int:
        """Read on. After an error there is no more: PyAV tells of the first, and would print each that follows."""
        if self._failed:
            return 0
        try:
            count = self._content.read_into(memoryview(buffer).cast("B"), self._offset)
        except BaseException:
            self._failed = True
            raise
        self._offset += count
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._on_close()
