# SPDX-License-Identifier: Apache-2.0
"""A small web server on this machine, with the habits, good and bad, that servers have. No traffic leaves it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, View, load_media
from llava_cli.media.limits import Limits
from llava_cli.texts import masked


@dataclass
class Site:
    """What is served: bytes under a path, or the URL that it leads to."""

    pages: dict[str, bytes | str] = field(default_factory=dict)
    ranges: bool = True
    tag: str = '"1"'
    knows_if_range: bool = True
    content_range: str | None = None
    """What it says of every part, instead of the truth."""
    raw: bytes | None = None
    """What it answers, instead of anything of HTTP."""
    sent: int = 0
    requests: list[str] = field(default_factory=list)
    cut_after: int | None = None
    """Break off the first answer after so many bytes."""
    hangs_up: bool = False
    """Whether each connection is for one answer only."""
    url: str = ""
    on_request: Callable[[], None] = lambda: None

    def add(self, path: str, content: bytes | str | Path) -> str:
        self.pages[path] = content.read_bytes() if isinstance(content, Path) else content
        return self.url + path


CERTIFICATE = Path(__file__).parents[1] / "data" / "localhost.pem"
"""Of the name localhost, signed by itself, with its key: worth nothing outside of these tests."""


@contextmanager
def serving(secure: bool = False) -> Iterator[Site]:
    """Serve a site over HTTP, or over HTTPS as `localhost`."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def end_headers(self) -> None:
            if site.hangs_up:
                self.send_header("Connection", "close")
            super().end_headers()

        def do_GET(self) -> None:
            page = site.pages.get(self.path)
            wanted = self.headers.get("Range") if site.ranges else None
            site.requests.append(f"{self.headers['Host']} {self.path} {wanted}")
            site.on_request()
            if site.raw is not None:
                self.wfile.write(site.raw)
                self.close_connection = True
                return
            if not isinstance(page, bytes):
                self.send_response(404 if page is None else 302)
                self.send_header("Location", page or "")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, stop = 0, len(page)
            known = self.headers.get("If-Range", site.tag) if site.knows_if_range else site.tag
            if wanted and known == site.tag:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last) + 1, stop)
                self.send_response(206 if start < stop else 416)
                self.send_header("Content-Range", site.content_range or f"bytes {start}-{stop - 1}/{len(page)}")
            else:
                self.send_response(200)
            self.send_header("ETag", site.tag)
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            self._send(page[start:stop])

        def _send(self, data: bytes) -> None:
            cut, site.cut_after = site.cut_after, None
            data = data[:cut]
            site.sent += len(data)
            self.wfile.write(data)
            self.close_connection = self.close_connection or cut is not None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    site.url = f"http://127.0.0.1:{port}"
    if secure:
        site.url = f"https://localhost:{port}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


VIEW = View((48, 48), "crop", Sampling())


ANY = Limits(urls="any")


def fetch(url: str, limits: Limits = ANY) -> Clip:
    """What a URL shows."""
    clip = load_media(url, VIEW, limits=limits)
    assert isinstance(clip, Clip)
    return clip


def fails(url: str, message: str, limits: Limits = ANY) -> None:
    """Check that a URL cannot be read, and what is said."""
    with pytest.raises(InputError, match=message) as caught:
        load_media(url, VIEW, limits=limits)
    assert str(caught.value).startswith(masked(url))
    assert "\n" not in str(caught.value)
