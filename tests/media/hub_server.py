# SPDX-License-Identifier: Apache-2.0
"""A hub on this machine, as far as files of data sets go: the routes and headers that the hub's library relies on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

OWNED = "someone/clips"


@dataclass
class Hub:
    """Data sets, each a mapping from revisions to files by path."""

    sets: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    says_size: bool = True
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and path of each."""

    def add(self, path: str, content: bytes | Path, revision: str = "main", owner: str = OWNED) -> str:
        """Put a file into a data set; the name that it has for users of `main`."""
        data = content.read_bytes() if isinstance(content, Path) else content
        self.sets.setdefault(owner, {}).setdefault(revision, {})[path] = data
        return f"hf://datasets/{owner}/{path}"

    @property
    def downloads(self) -> list[str]:
        """The files that were sent."""
        sent = [request for request in self.requests if request.startswith("GET ") and "/resolve/" in request]
        return [request.rpartition("/")[2] for request in sent]

    def commit(self, revision: str, owner: str = OWNED) -> str:
        """The commit that a revision is at: another one once a file has changed."""
        return digest(repr(sorted(self.sets[owner][revision].items())).encode())

    def find(self, path: str) -> tuple[bytes, str] | str:
        """The content of a URL's path and its commit, or the hub's code for why there is none."""
        owner, _, rest = path.removeprefix("/datasets/").partition("/resolve/")
        if owner in self.gated:
            return "GatedRepo"
        revisions = self.sets.get(owner)
        if revisions is None:
            return "RepoNotFound"
        rest = unquote(rest)
        for revision, files in revisions.items():
            commit = self.commit(revision, owner)
            for spelling in (revision, commit):
                if rest.startswith(f"{spelling}/"):
                    data = files.get(rest.removeprefix(f"{spelling}/"))
                    return "EntryNotFound" if data is None else (data, commit)
        return "RevisionNotFound"


def digest(data: bytes) -> str:
    """As git names things, about."""
    return hashlib.sha1(data).hexdigest()


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve data sets over HTTP."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            found = hub.find(self.path)
            if isinstance(found, str):
                self.send_response(403 if found == "GatedRepo" else 404)
                self.send_header("X-Error-Code", found)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, commit = found
            self.send_response(200)
            self.send_header("ETag", f'"{digest(data)}"')
            self.send_header("X-Repo-Commit", commit)
            if hub.says_size or with_body:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            if with_body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def used_here(hub: Hub, cache: Path) -> Iterator[pytest.MonkeyPatch]:
    """Have the hub's library ask this hub, and keep what it downloads in a cache of its own.

    The library takes both from the environment when it is imported, which is long ago.
    """
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield patch
