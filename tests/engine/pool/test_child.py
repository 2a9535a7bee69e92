# SPDX-License-Identifier: Apache-2.0
"""The other end of an engine's socket. As a process: test_process.py."""

from __future__ import annotations

import socket
import threading

import pytest
from engine.pool.seats import TERMS, StubRunner, query

from llava_cli.engine.pool.child import serve
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.errors import LlavaError, ModelError


@pytest.fixture
def channel():
    ours, theirs = map(Channel, socket.socketpair())
    ended = threading.Event()

    def serving() -> None:
        with pytest.raises(Gone):
            serve(theirs)
        ended.set()

    threading.Thread(target=serving, daemon=True).start()
    yield ours
    ours.close()
    assert ended.wait(30)
    theirs.close()


def said(channel, name, *arguments):
    channel.send((name, arguments))
    return channel.receive(30)


def test_a_runner_comes_with_its_start_and_does_what_is_asked(channel):
    assert said(channel, "start", StubRunner()) == ("result", TERMS)
    assert said(channel, "load") == ("result", None)
    kind, outcome = said(channel, "answer", [query("a")])
    assert (kind, [one.text for one in outcome.said]) == ("result", ["A"])


def test_what_it_raises_before_it_answers_is_told_and_it_goes_on(channel, logs):
    assert said(channel, "start", StubRunner(loads=False))[0] == "result"
    kind, error = said(channel, "load")
    assert (kind, type(error), str(error)) == ("error", ModelError, "stub: is damaged")
    kind, error = said(channel, "nonsense")
    assert (kind, type(error), error.code) == ("error", LlavaError, "bug")
    assert said(channel, "start", StubRunner()) == ("result", TERMS)
