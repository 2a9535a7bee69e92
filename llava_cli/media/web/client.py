# SPDX-License-Identifier: Apache-2.0
"""GET requests to addresses that were looked at first. FFmpeg's own HTTP would follow any redirect anywhere."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from urllib.parse import quote, urljoin, urlsplit

from llava_cli import __version__
from llava_cli.media.errors import MediaError, reason
from llava_cli.media.web.address import resolve

REDIRECTS = 5
PATIENCE = 30.0
"""Seconds without a byte after which a server counts as gone."""

UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]")
QUOTED = "%/:=&?~+!$,;'@()*[]"
MOVED = (301, 302, 303, 307, 308)


def _meaning(status: int) -> str:
    """What a status is called, by us: a server may call it anything."""
    return f" ({http.HTTPStatus(status).phrase})" if status in list(http.HTTPStatus) else ""


def broken_off(error: OSError | http.client.HTTPException) -> MediaError:
    """What there is to say of an answer that did not come, or not whole. What the server said is not repeated."""
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return MediaError("cannot be downloaded: its server broke off")
    if isinstance(error, http.client.HTTPException):
        return MediaError("cannot be downloaded: what its server says is not HTTP")
    return MediaError(f"cannot be downloaded: {reason(error)}")


class Site:
    """A URL's server, at the addresses that were checked: they are looked up once, and connected to by number.

    Raises (all methods):
        MediaError: it may not be read, or cannot be reached.
    """

    def __init__(self, text: str, private: bool) -> None:
        try:
            url = urlsplit(text)
            self.host = (url.hostname or "").encode("idna").decode()
            usual = {"http": 80, "https": 443}[url.scheme]
            self.port = url.port or usual
        except (ValueError, KeyError) as error:
            raise MediaError("is no URL that can be read; http:// and https:// are") from error
        if UNSAFE.search(text) or not self.host:
            raise MediaError("is no URL that can be read: characters in it must be quoted, as %20 for a space")
        if url.username is not None:
            raise MediaError("holds a user name or a password, which are never sent; download the file yourself")
        self.url = text
        self.secure = url.scheme == "https"
        self.context = ssl.create_default_context() if self.secure else None
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.name = name if self.port == usual else f"{name}:{self.port}"
        query = f"?{url.query}" if url.query else ""
        self.target = quote(f"{url.path or '/'}{query}", safe=QUOTED)
        self.addresses = resolve(self.host, self.port, private)

    def connect(self) -> http.client.HTTPConnection:
        """An open connection to the first address that answers."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        connection.sock = self._socket()
        return connection

    def _socket(self) -> socket.socket:
        failure: OSError | None = None
        for address in self.addresses:
            try:
                plain = socket.create_connection((address, self.port), timeout=PATIENCE)
                if self.context is None:
                    return plain
                with plain:  # closed where it cannot be wrapped; else the wrapper has taken it over
                    return self.context.wrap_socket(plain, server_hostname=self.host)
            except OSError as error:
                failure = error
        raise MediaError(f"cannot be reached: {reason(failure or OSError('no address'))}") from failure


class Page:
    """One URL, redirects followed; bytes of it can be asked for as often as wanted.

    Raises (all methods):
        MediaError: it may not be read, or its server does not give it.
    """

    def __init__(self, url: str, private: bool) -> None:
        self._private = private
        self._site = Site(url, private)
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None

    def get(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The answer to a request, its status 200, 206 or 416."""
        for _ in range(REDIRECTS + 1):
            response = self._response = self._request(headers)
            if response.status not in MOVED:
                break
            self._follow(response)
        else:
            raise MediaError(f"is redirected more than {REDIRECTS} times")
        if response.status not in (200, 206, 416):
            raise MediaError(f"is not given by its server: status {response.status}{_meaning(response.status)}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise MediaError("is sent compressed, which was not asked for")
        return response

    def close(self) -> None:
        """Give up what has been asked for; the next request connects anew."""
        for opened in (self._response, self._connection):  # an answer may outlive its connection
            if opened is not None:
                opened.close()
        self._response = self._connection = None

    def _request(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send the request; once more where the server has meanwhile closed the connection."""
        known = {"Host": self._site.name, "User-Agent": f"llava/{__version__}", "Accept-Encoding": "identity"}
        again = self._connection is not None
        if self._connection is None:
            self._connection = self._site.connect()
        try:
            self._connection.request("GET", self._site.target, headers=known | headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if again:
                return self._request(headers)
            raise broken_off(error) from error

    def _follow(self, response: http.client.HTTPResponse) -> None:
        """Go on to where a redirect leads, under the same rules as at first."""
        self.close()
        try:
            there = urljoin(self._site.url, response.headers.get("Location", ""))
        except ValueError as error:
            raise MediaError("is redirected to what is no URL") from error
        site = Site(there, self._private)
        if self._site.secure and not site.secure:
            raise MediaError("is redirected from https to http, which is not followed")
        self._site = site
