# SPDX-License-Identifier: Apache-2.0
"""A server with faults for each test; nobody's key, and no proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine.remote.fault_server import Server, serving


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as site:
        yield site
