# SPDX-License-Identifier: Apache-2.0
"""A file on the web, read as if it were here: only the parts that are asked for, where its server gives parts.

What has been downloaded lies in a temporary file with holes, so that nothing is downloaded twice, and the limit on
bytes is one on all that comes over the network. The file has no name: it is gone with this process, however that ends.
Servers that give no parts are read whole, before anything is opened.
"""

from __future__ import annotations

import http.client
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from threading import Lock

from llava_cli.atomic import write_all
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source
from llava_cli.media.web.borrowed import BLOCK, Copy, RemoteSource
from llava_cli.media.web.client import Page, broken_off

CHUNK = 1 << 20

AHEAD = 8
"""Blocks that are asked for at once, at most, where reading goes on and on."""

RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


@contextmanager
def open_url(url: str, limits: Limits) -> Iterator[Source]:
    """A URL as something that can be opened; nothing is sent before it is."""
    with closing(Parts(url, limits)) as parts:
        yield RemoteSource(url, url, limits, parts=parts)


def _too_large(limits: Limits) -> MediaError:
    return MediaError(f"is larger than the {limits.max_bytes} bytes that may be downloaded; --max-bytes allows more")


class Parts(Copy):
    """The blocks of a file that have been downloaded, and the way to the others."""

    def __init__(self, url: str, limits: Limits) -> None:
        super().__init__()
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
            self.descriptor = self._opened.enter_context(tempfile.TemporaryFile()).fileno()  # noqa: SIM115
            self._page = self._opened.enter_context(closing(Page(self._url, private=self._limits.urls == "any")))
            first = self._page.get({"Range": f"bytes=0-{BLOCK - 1}"})
            # So that no two parts come from two versions of the file.
            tag = first.headers.get("ETag", "")
            self._validator = "Last-Modified" if tag.startswith("W/") or not tag else "ETag"
            self._version = first.headers.get(self._validator)
            try:
                if first.status == 206:
                    self._keep(first, 0)
                else:
                    self._keep_all(first)
            except (OSError, http.client.HTTPException) as error:
                raise broken_off(error) from error
            self._connected = True

    def close(self) -> None:
        self._opened.close()

    def fetch(self, offset: int, count: int) -> None:
        with self._lock:
            stop = min(offset + count, self.size)
            for block in range(max(0, offset) // BLOCK, -(-stop // BLOCK)):
                if block not in self._have:
                    self._fetch(block)
                if block not in self._have:
                    raise MediaError("is given by its server in smaller parts than asked for; download it yourself")

    def _fetch(self, block: int) -> None:
        """Download a block, and the more after it the longer it has been going straight on."""
        self._run = min(2 * self._run, AHEAD) if block == self._last + 1 else 1
        stop = block
        while stop < block + self._run and stop not in self._have and stop * BLOCK < self.size:
            stop += 1
        self._last = stop - 1
        wanted = f"bytes={block * BLOCK}-{min(stop * BLOCK, self.size) - 1}"
        same = {"If-Range": self._version} if self._version else {}
        for attempt in (1, 2, 3):
            response = self._page.get({"Range": wanted, **same})
            try:
                self._keep(response, block)
                return
            except (OSError, http.client.HTTPException) as error:
                self._page.close()
                if attempt == 3:
                    raise broken_off(error) from error

    def _keep(self, response: http.client.HTTPResponse, block: int) -> None:
        given = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        start, last, size = map(int, given.groups()) if given else (0, -1, 0)
        # Some servers do not know If-Range, and send the parts of another version as if nothing had been.
        same = response.headers.get(self._validator) == self._version
        if response.status != 206 or not same or (self.size and size != self.size):
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
            write_all(self.descriptor, chunk)
        if not self.size or response.status == 416:
            raise MediaError("is empty")
        if response.length:
            raise MediaError("ended before all of it was sent")
        self._page.close()
        self._have.update(range(-(-self.size // BLOCK)))

    def _copy_part(self, response: http.client.HTTPResponse, offset: int, stop: int) -> None:
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        while offset < stop:
            chunk = response.read(min(CHUNK, stop - offset))
            if not chunk:
                raise http.client.IncompleteRead(b"")
            self.downloaded += len(chunk)
            if self.downloaded > self._limits.max_bytes:
                raise _too_large(self._limits)
            write_all(self.descriptor, chunk)
            offset += len(chunk)
        with suppress(OSError, http.client.HTTPException):
            response.read(1)  # reads to the end, so that the connection can be used again
            response.close()
