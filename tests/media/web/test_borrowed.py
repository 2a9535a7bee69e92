# SPDX-License-Identifier: Apache-2.0
"""A file on the web that one process downloads and another one reads."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from media.web_server import ANY, Site

from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.stream import Stream
from llava_cli.media.web.borrowed import ASKED, Borrowed, RemoteSource
from llava_cli.media.web.ranges import Parts
from llava_cli.media.worker.fetcher import lend

Rendered = Callable[[str], Path]


@contextmanager
def lent(url: str, limits: Limits = ANY) -> Iterator[tuple[Borrowed, socket.socket]]:
    """The file as whoever may not reach the web has it, and the socket over which it asks."""
    here, there = socket.socketpair()
    with there, closing(Parts(url, limits)) as parts:
        lending = Thread(target=lend, args=(parts, there))
        lending.start()
        with closing(Borrowed(here)) as file:
            yield file, here
        lending.join(20)
        assert not lending.is_alive()


@pytest.mark.parametrize("ranges", [True, False])
def test_it_is_read_as_if_it_were_here_and_nothing_twice(rendered: Rendered, site: Site, ranges: bool) -> None:
    site.ranges = ranges
    content = rendered("mkv").read_bytes()
    with lent(site.add("/x", content)) as (file, _):
        file.connect()
        one, two = Stream(file), Stream(file)
        assert one.seek(-10, 2) == len(content) - 10
        assert (one.read(100), two.readall()) == (content[-10:], content)
        assert site.sent == len(content)


def test_all_of_it_has_a_descriptor(rendered: Rendered, site: Site) -> None:
    url, content = site.add("/x", rendered("mkv")), rendered("mkv").read_bytes()
    with lent(url) as (file, _), RemoteSource(url, url, ANY, parts=file).descriptor() as descriptor:
        assert os.pread(descriptor, len(content) + 1, 0) == content


def test_what_is_refused_there_is_told_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with lent(f"{site.url}/none") as (file, _), pytest.raises(MediaError, match="404"):
        file.connect()
    few = Limits(urls="any", max_bytes=1000)
    with lent(site.add("/x", bytes(2000)), few) as (file, _), pytest.raises(MediaError, match="larger than the 1000"):
        file.connect()
    monkeypatch.setattr(Parts, "connect", lambda _: {}["unforeseen"])
    with lent(f"{site.url}/x") as (file, _), pytest.raises(AssertionError, match="KeyError: 'unforeseen'"):
        file.connect()


def test_whoever_reads_can_ask_for_parts_of_this_file_and_for_nothing_else(site: Site) -> None:
    """It may have been taken over: it says two numbers, and none of them is taken on trust."""
    with lent(site.add("/x", bytes(1000))) as (file, channel):
        file.connect()
        for offset, count in ((-1, 5), (-(1 << 62), 1 << 62), (1 << 62, 1 << 62), (5, -9), (1 << 50, 1)):
            channel.sendall(ASKED.pack(offset, count))
            assert channel.recv(1000) == b'{"size": 1000}\n'
        assert file.read_into(memoryview(bytearray(9)), 0) == 9
    assert len(site.requests) == 1


def test_the_end_of_the_one_that_downloads_is_an_error() -> None:
    here, there = socket.socketpair()
    there.close()
    with closing(Borrowed(here)) as file, pytest.raises(MediaError, match="has ended"):
        file.connect()
