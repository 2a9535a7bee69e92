# SPDX-License-Identifier: Apache-2.0
import gc
import pickle
import socket

import numpy as np
import pytest
from pictures import clip, still

from llava_cli.engine.context import TooLong
from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.warm.wire import Channel, Gone
from llava_cli.errors import InputError
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.registry import family_of


@pytest.fixture
def ends():
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


def _sent(ends, message):
    ends[0].send(message)
    return ends[1].receive()


def test_media_arrive_whole(ends):
    shown = clip(3, 40, 30)
    arrived = _sent(ends, {"clip": shown, "n": 1})["clip"]
    assert arrived is not shown
    assert arrived.info == shown.info
    assert arrived.times == shown.times
    assert np.array_equal(arrived.frames, shown.frames)


@pytest.mark.parametrize("name", ["llava-next-video", "llava-video", "llava-interleave"])
def test_a_checkpoint_arrives_after_it_has_been_looked_at(ends, checkpoints, name):
    family = family_of(open_checkpoint(str(checkpoints(name))))
    view = family.view
    assert family_of(_sent(ends, family.checkpoint)).view == view


def test_one_thing_is_one_object_at_both_ends(ends):
    shown, cache = clip(3, 40, 30), KVCache()
    first = _sent(ends, [shown, cache])
    again = _sent(ends, (cache, shown, shown))
    assert again[0] is first[1]
    assert again[1] is first[0]
    assert again[2] is first[0]
    ends[1].send(["an answer about", first[0], first[1]])
    assert [thing is mine for thing, mine in zip(ends[0].receive()[1:], (shown, cache), strict=True)] == [True, True]


def test_a_clip_travels_once(ends):
    shown = clip(8, 200, 200)
    ends[0].connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sizes = []
    for _ in range(2):
        ends[0].send(shown)
        sizes.append(len(ends[1].connection.recv(1 << 23, socket.MSG_PEEK)))
        ends[1].receive()
    assert sizes[0] > shown.frames.nbytes > 1000 > sizes[1]


def test_what_its_owner_drops_is_given_up_there_too(ends):
    _sent(ends, still(64, 64))
    gc.collect()
    assert len(ends[1]._theirs) == 1
    _sent(ends, "next")
    assert not ends[1]._theirs
    assert not ends[1]._numbers


@pytest.mark.parametrize(
    "error", [TooLong(5000, 4096, 24), InputError("a.mp4: no", code="timeout")], ids=["own", "code"]
)
def test_errors_arrive_as_they_were(ends, error):
    error.recorded = True
    arrived = _sent(ends, error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
    assert arrived.code == error.code


def test_the_end_of_a_connection_is_told(ends):
    assert not ends[1].waiting()
    ends[0].close()
    assert ends[1].waiting()
    with pytest.raises(Gone, match="closed"):
        ends[1].receive()
    with pytest.raises(Gone, match="closed"):
        ends[1].send("hello")


@pytest.mark.parametrize(
    "letter",
    [b"nonsense", pickle.dumps(([], {}, b"nonsense")), pickle.dumps(3)],
    ids=["no pickle", "no message", "no letter"],
)
def test_nonsense_ends_the_connection(ends, letter):
    ends[0].connection.sendall(len(letter).to_bytes(8, "big") + letter)
    with pytest.raises(Gone, match="no sense"):
        ends[1].receive()


def test_a_length_beyond_all_memory_is_not_waited_for(ends):
    ends[0].connection.sendall((1 << 60).to_bytes(8, "big"))
    with pytest.raises(Gone, match="too large"):
        ends[1].receive()
