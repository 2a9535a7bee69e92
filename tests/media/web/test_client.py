# SPDX-License-Identifier: Apache-2.0
"""Where a URL may lead, and how its server is asked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from media.web_server import CERTIFICATE, VIEW, Site, fails, fetch, serving

from llava_cli.media import Clip, load_media
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.web import client
from llava_cli.media.web.client import Page

Rendered = Callable[[str], Path]


def test_private_addresses_are_refused_before_anything_is_sent(rendered: Rendered, site: Site) -> None:
    fails(site.add("/clip", rendered("h264")), "no public address; --allow-private-urls", Limits(urls="public"))
    fails(site.url + "/clip", "--allow-urls", Limits())
    assert site.requests == []


def test_a_redirect_is_followed_under_the_same_rules(
    rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("/clip", rendered("h264"))
    site.add("/one", "/two")
    assert fetch(site.add("/two", site.url + "/clip")).info.path == f"{site.url}/two"
    assert len(fetch(f"{site.url}/one").frames) == 8
    # The first address passes for a public one; the second, the same machine by another name, does not.
    monkeypatch.setattr("llava_cli.media.web.address.is_public", lambda address: address == "127.0.0.1")
    asked = len(site.requests)
    fails(site.add("/out", "http://127.0.0.2/clip"), "127.0.0.2, which is no public address", Limits(urls="public"))
    assert len(site.requests) == asked + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "http://["])
def test_a_redirect_to_elsewhere_is_not_followed(site: Site, target: str) -> None:
    fails(site.add("/out", target), "no URL")


@pytest.mark.parametrize("ranges", [True, False])
def test_https(rendered: Rendered, monkeypatch: pytest.MonkeyPatch, ranges: bool) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(secure=True) as site:
        site.ranges = ranges
        here, there = load_media(rendered("h264"), VIEW), fetch(site.add("/clip", rendered("h264")))
    assert isinstance(here, Clip)
    assert np.array_equal(there.frames, here.frames)


def test_a_server_that_cannot_prove_its_name_is_sent_nothing(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(secure=True) as site:
        url = site.add("/clip", rendered("h264"))
        fails(url, "cannot be reached: self-signed certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        fails(url.replace("localhost", "127.0.0.1"), "cannot be reached: .*certificate is not valid")
        assert not site.requests
        assert len(fetch(url).frames) == 8


def test_a_redirect_from_https_to_http_is_not_followed(
    rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(secure=True) as safe:
        fails(safe.add("/clip", site.add("/clip", rendered("h264"))), "redirected from https to http")
    assert not site.requests


def test_redirects_end(site: Site) -> None:
    fails(site.add("/round", "/round"), "redirected more than 5 times")
    assert len(site.requests) == 6


def test_the_address_that_was_checked_is_the_one_that_is_used(
    rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere on the second look-up gets no second look-up."""
    port = int(site.url.rpartition(":")[2])
    answers = iter(["127.0.0.1"])

    def look_up(host: str, number: int, *_: object, **__: object) -> list[object]:
        assert (host, number) == ("clips.example", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), number))]

    dialled = []
    monkeypatch.setattr("llava_cli.media.web.address.socket.getaddrinfo", look_up)
    monkeypatch.setattr("llava_cli.media.web.address.is_public", lambda address: True)

    def dial(address: tuple[str, int], timeout: float) -> socket.socket:
        dialled.append(address)
        plain = socket.socket()
        plain.connect(address)
        return plain

    monkeypatch.setattr(client.socket, "create_connection", dial)
    site.add("/clip", rendered("h264"))
    clip = fetch(f"http://clips.example:{port}/clip", Limits(urls="public"))
    assert len(clip.frames) == 8
    assert set(dialled) == {("127.0.0.1", port)}
    assert site.requests[0].startswith(f"clips.example:{port} ")


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("path", ["/clip", "/none", "/round"])
def test_connections_are_closed_whatever_the_answer(
    rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch, path: str, hangs_up: bool
) -> None:
    """An answer after which the server hangs up outlives its connection."""
    site.hangs_up = hangs_up
    site.add("/clip", rendered("h264"))
    site.add("/round", "/round")
    made: list[socket.socket] = []
    connect = socket.create_connection
    monkeypatch.setattr(
        client.socket, "create_connection", lambda *to, **how: made.append(connect(*to, **how)) or made[-1]
    )
    page = Page(site.url + path, private=True)
    held: list[object] = []  # as an error's traceback holds on to all that was at hand
    with closing(page):
        try:
            held.append(page.get({}))
        except MediaError as error:
            held.append(error)
    assert made
    assert all(connection.fileno() < 0 for connection in made)
