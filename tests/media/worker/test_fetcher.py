# SPDX-License-Identifier: Apache-2.0
"""The process that downloads for the one that decodes: when there is one, and what its end costs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from media.web_server import ANY, serving

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.worker import parent
from llava_cli.media.worker.parent import NotStarted, TimedOut, Worker

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


def test_it_is_started_for_the_first_url_and_kept(rendered: Rendered) -> None:
    with serving() as site, Worker(ANY) as here:
        here.load(rendered("h264"), VIEW)
        assert here._fetcher is None
        here.load(site.add("/clip", rendered("h264")), VIEW)
        first = here._fetcher
        assert first is not None
        here.load(site.add("/clip", rendered("vp9")), VIEW)
        assert here._fetcher is first
    assert first.returncode == -signal.SIGKILL


def test_one_that_ends_costs_one_file(rendered: Rendered) -> None:
    with serving() as site, Worker(ANY) as here:
        url = site.add("/clip", rendered("h264"))
        here.load(url, VIEW)
        site.on_request = lambda: here._fetcher.kill()  # type: ignore[union-attr]
        with pytest.raises(InputError, match="the process that does it has ended"):
            here.load(url, VIEW)
        site.on_request = lambda: None
        assert isinstance(here.load(url, VIEW), Clip)


def test_one_that_does_not_start_is_nobody_s_file(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self, _: str) -> None:
            raise BlockingIOError(11, "Resource temporarily unavailable")

    with serving() as site, Worker(ANY) as here:
        here.load(rendered("h264"), VIEW)
        monkeypatch.setattr(parent, "Process", Refused)
        with pytest.raises(NotStarted, match=r"the process that reads URLs does not start \(Resource"):
            here.load(site.add("/clip", rendered("h264")), VIEW)


def test_a_server_that_never_answers_takes_no_longer_than_is_allowed() -> None:
    with serving() as site, Worker(Limits(urls="any", timeout=0.5)) as here:
        site.on_request = lambda: time.sleep(3)
        with pytest.raises(TimedOut):
            here.load(f"{site.url}/x", VIEW)
        assert here._fetcher is None


def test_it_ends_with_its_parent(rendered: Rendered) -> None:
    with serving() as site, Worker(ANY) as here:
        here.load(site.add("/clip", rendered("h264")), VIEW)
        assert here._fetcher is not None
        here._fetcher.hang_up()
        assert here._fetcher.wait(30) == 0
