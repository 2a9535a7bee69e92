# SPDX-License-Identifier: Apache-2.0
import socket
import threading
import time

import pytest
from pictures import clip

from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.types import Completion, Generation, LoadOptions, ModelInfo, Query
from llava_cli.engine.warm.server import Server, Turns
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.errors import OutOfMemory
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.messages import ask

INFO = ModelInfo("demo", None, "llava-next-video", "float32", None, "cpu", "sdpa")


class Slow:
    """An engine that says one word after the other, as it is let."""

    info = INFO

    def __init__(self):
        self.may = threading.Semaphore(0)
        self.seen: list[object] = []
        self.ended = threading.Event()
        self.now = 0
        self.most = 0

    def stream(self, query, cache=None, stop=None):
        self.seen.append(cache)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for word in range(100):
                self.may.acquire(timeout=10)
                yield f"{word} "
                if stop():
                    break
            return Completion("said", "interrupted", query.conversation.media, (1,), 1, word + 1, "checkpoint")
        finally:
            self.now -= 1
            self.ended.set()

    def answer(self, batch):
        raise OutOfMemory(f"{len(batch)} are too many")


class Loader:
    info = INFO
    device = "cpu"

    def load(self):
        raise AssertionError("it is loaded")


@pytest.fixture
def served():
    """A worker in a thread, its engine, and a way to connect to it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0llava-test-" + str(time.monotonic_ns()))
        listening.listen()
        server = Server(listening)
        engine = server._engine = Slow()
        server._loader = Loader()
        thread = threading.Thread(target=server.serve)
        thread.start()
        opened = []

        def connect(keep_s=0.0):
            one = socket.socket(socket.AF_UNIX)
            one.connect(listening.getsockname())
            opened.append(Channel(one))
            opened[-1].send(("hello", (open_checkpoint("demo"), LoadOptions(), keep_s)))
            assert opened[-1].receive() == ("result", None)
            return opened[-1]

        yield connect, engine, thread
        for _ in range(1000):
            engine.may.release()
        for one in opened:
            one.close()
        thread.join(10)
        assert not thread.is_alive()


QUERY = Query(ask("What?", [clip(1, 8, 8)]), Generation())


def _read(channel, kind):
    """What comes, up to one of this kind."""
    while (said := channel.receive())[0] != kind:
        pass
    return said[1]


def test_pieces_come_as_they_are_made_and_stop_ends_them(served):
    connect, engine, _ = served
    channel = connect()
    channel.send(("stream", (QUERY, None)))
    engine.may.release()
    assert channel.receive() == ("piece", "0 ")
    channel.send(("stop", ()))
    engine.may.release()
    done = _read(channel, "result")
    assert done.finish_reason == "interrupted"
    assert done.media[0] is QUERY.conversation.media[0]
    channel.send(("info", ()))
    assert channel.receive() == ("result", INFO)


def test_a_conversation_keeps_its_cache_there(served):
    connect, engine, _ = served
    channel, cache = connect(), KVCache()
    for _ in range(2):
        channel.send(("stream", (QUERY, cache)))
        channel.send(("stop", ()))
        engine.may.release()
        _read(channel, "result")
    assert engine.seen[0] is engine.seen[1] is not None


def test_clients_are_served_in_turn_and_hear_that_they_wait(served):
    connect, engine, _ = served
    first, second = connect(), connect()
    first.send(("stream", (QUERY, None)))
    engine.may.release()
    assert first.receive()[0] == "piece"
    second.send(("stream", (QUERY, None)))
    kind, (_, text) = second.receive()
    assert kind == "log"
    assert "waiting" in text
    first.send(("stop", ()))
    for _ in range(3):
        engine.may.release()
    assert _read(first, "result")
    assert _read(second, "piece") == "0 "
    assert engine.most == 1


def test_a_client_that_dies_frees_the_worker(served):
    connect, engine, _ = served
    first, second = connect(), connect()
    first.send(("stream", (QUERY, None)))
    engine.may.release()
    first.receive()
    first.close()
    engine.may.release()
    assert engine.ended.wait(10)
    second.send(("info", ()))
    assert _read(second, "result") == INFO


def test_errors_come_to_the_client(served):
    connect, _, _ = served
    channel = connect()
    channel.send(("answer", ([QUERY, QUERY],)))
    kind, error = channel.receive()
    assert kind == "error"
    assert isinstance(error, OutOfMemory)
    assert str(error) == "2 are too many"


def test_a_bug_there_is_met_again_here(served):
    connect, _, _ = served
    channel = connect()
    channel.send(("prompt", ()))
    with pytest.raises(Gone):
        channel.receive()


def test_it_ends_when_nobody_has_asked_for_a_while_but_never_while_somebody_is_there(served):
    connect, _, thread = served
    channel = connect(keep_s=0.0)
    time.sleep(0.6)
    channel.send(("info", ()))
    assert channel.receive()[0] == "result"
    assert thread.is_alive()
    channel.close()
    thread.join(10)
    assert not thread.is_alive()


def test_turns_are_taken_in_order():
    turns, order = Turns(), []
    waiting = threading.Semaphore(0)

    def work(number):
        with turns.turn(waiting.release):
            order.append(number)

    with turns.turn(lambda: pytest.fail("nobody is first")):
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            assert waiting.acquire(timeout=10)
        assert turns.busy
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]
    assert not turns.busy
