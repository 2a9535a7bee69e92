# SPDX-License-Identifier: Apache-2.0
"""A file on the web, read as if it were here: only the parts that are asked for, where its server gives parts.

What has been downloaded lies in a temporary file with holes, so that nothing is downloaded twice, and the limit on
bytes is one on all that comes over the network. The file has no name: it is gone with this process, however that ends.
Servers that give no parts are read whole, before anything is opened.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, BinaryIO

from llava_cli.atomic import write_all
from llava_cli.media.errors import MediaError, reason
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source
from llava_cli.media.web.client import Page

BLOCK = 1 << 18
"""Bytes that are asked for at least."""

BUFFER = 1 << 15
CHUNK = 1 << 20

AHEAD = 8
"""Blocks that are asked for at once, at most, where reading goes on and on."""

RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)", re.ASCII)


@dataclass(frozen=True)
class RemoteSource(Source):
    """A file on the web; `path` is its URL, which no decoder is given."""

    parts: Parts = field(kw_only=True)

    @property
    def input(self) -> str | BinaryIO:
        return self.open()

    def open(self) -> BinaryIO:
        """The file, from its start.

        Raises:
            MediaError: it may not be read, or its server does not give it.
        """
        self.parts.connect()
        return io.BufferedReader(RemoteFile(self.parts), BUFFER)

    @property
    def on_disk(self) -> bool:
        return False


@contextmanager
def open_url(url: str, limits: Limits) -> Iterator[Source]:
    """A URL as something that can be opened; nothing is sent before it is."""
    with closing(Parts(url, limits)) as parts:
        yield RemoteSource(url, url, limits, parts=parts)


def _too_large(limits: Limits) -> MediaError:
    return MediaError(f"is larger than the {limits.max_bytes} bytes that may be downloaded; --max-bytes allows more")


class Parts:
    """The blocks of a file that have been downloaded, and the way to the others. For any number of threads.

    Raises (all methods):
        MediaError: the server does not give what is asked for, or more than is allowed.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        self.size = 0
        """Bytes of the whole file, once connected."""
        self.downloaded = 0
        self._url = url
        self._limits = limits
        self._opened = ExitStack()
        self._have: set[int] = set()
        self._last = -1
        self._run = 1
        self._lock = Lock()
        self._connected = False

    def connect(self) -> None:
        """Find the file and ask for its first block, unless that is done."""
        with self._lock:
            if self._connected:
                return
            self.size = 0
            self._copy = self._opened.enter_context(tempfile.TemporaryFile()).fileno()  # noqa: SIM115
            self._page = self._opened.enter_context(closing(Page(self._url, private=self._limits.urls == "any")))
            first = self._page.get({"Range": f"bytes=0-{BLOCK - 1}"})
            # So that no two parts come from two versions of the file.
            tag = first.headers.get("ETag", "")
            version = first.headers.get("Last-Modified") if tag.startswith("W/") or not tag else tag
            self._same = {"If-Range": version} if version else {}
            try:
                if first.status == 206:
                    self._keep(first, 0)
                else:
                    self._keep_all(first)
            except (OSError, http.client.HTTPException) as error:
                raise MediaError(f"cannot be downloaded: {reason(error)}") from error
            self._connected = True

    def close(self) -> None:
        self._opened.close()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` on, as far as the file goes; the number of bytes there were."""
        count = min(len(buffer), self.size - offset)
        if count <= 0:
            return 0
        with self._lock:
            for block in range(offset // BLOCK, (offset + count - 1) // BLOCK + 1):
                if block not in self._have:
                    self._fetch(block)
                if block not in self._have:
                    raise MediaError("is given by its server in smaller parts than asked for; download it yourself")
        data = os.pread(self._copy, count, offset)
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self, block: int) -> None:
        """Download a block, and the more after it the longer it has been going straight on."""
        self._run = min(2 * self._run, AHEAD) if block == self._last + 1 else 1
        stop = block
        while stop < block + self._run and stop not in self._have and stop * BLOCK < self.size:
            stop += 1
        self._last = stop - 1
        wanted = f"bytes={block * BLOCK}-{min(stop * BLOCK, self.size) - 1}"
        for attempt in (1, 2, 3):
            response = self._page.get({"Range": wanted, **self._same})
            try:
                self._keep(response, block)
                return
            except (OSError, http.client.HTTPException) as error:
                self._page.close()
                if attempt == 3:
                    raise MediaError(f"cannot be downloaded: {reason(error)}") from error

    def _keep(self, response: http.client.HTTPResponse, block: int) -> None:
        given = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        start, last, size = map(int, given.groups()) if given else (0, -1, 0)
        if response.status != 206 or (self.size and size != self.size):
            raise MediaError("was replaced on its server while it was read; try again")
        if start != block * BLOCK or not start <= last < size:
            raise MediaError("is not given by its server as asked for; download it yourself")
        self.size = size
        self._copy_part(response, start, last + 1)
        self._have.update(range(block, -(-(last + 1) // BLOCK) if last + 1 == size else (last + 1) // BLOCK))

    def _keep_all(self, response: http.client.HTTPResponse) -> None:
        """Download the whole file, once its size is known to be allowed, and as long as it is."""
        if (response.length or 0) > self._limits.max_bytes:
            raise _too_large(self._limits)
        while chunk := response.read(CHUNK):
            self.size += len(chunk)
            if self.size > self._limits.max_bytes:
                raise _too_large(self._limits)
            write_all(self._copy, chunk)
        if not self.size or response.status == 416:
            raise MediaError("is empty")
        if response.length:
            raise MediaError("ended before all of it was sent")
        self._page.close()
        self._have.update(range(-(-self.size // BLOCK)))

    def _copy_part(self, response: http.client.HTTPResponse, offset: int, stop: int) -> None:
        os.lseek(self._copy, offset, os.SEEK_SET)
        while offset < stop:
            chunk = response.read(min(CHUNK, stop - offset))
            if not chunk:
                raise http.client.IncompleteRead(b"")
            self.downloaded += len(chunk)
            if self.downloaded > self._limits.max_bytes:
                raise _too_large(self._limits)
            write_all(self._copy, chunk)
            offset += len(chunk)
        with suppress(OSError, http.client.HTTPException):
            response.read(1)  # reads to the end, so that the connection can be used again
            response.close()


class RemoteFile(io.RawIOBase):
    """A position in a file on the web."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._parts.size}[whence]
        if origin + offset < 0:
            raise ValueError("a position before the start")
        self._offset = origin + offset
        return self._offset

    def readinto(self, buffer: Any) -> int:
        count = self._parts.read_into(memoryview(buffer), self._offset)
        self._offset += count
        return count
