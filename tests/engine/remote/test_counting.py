# SPDX-License-Identifier: Apache-2.0
"""What a server has seen: nothing is an error, less than was sent is told."""

from __future__ import annotations

from fractions import Fraction

import pytest
from engine.remote.fault_server import TOKENS, Server
from pictures import clip, still

from llava_cli.engine.remote.background import Background
from llava_cli.engine.remote.client import Client
from llava_cli.engine.remote.counting import Counter, Unseen, seen, small
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.replies import Refused
from llava_cli.engine.remote.sending import Sender, Sending
from llava_cli.media.clip import Clip, Still

CLIP, STILL = clip(8, 8, 6), still(9, 7)


class Counting:
    """A counter, asked and waited for."""

    def __init__(self, server: Server) -> None:
        endpoint = Endpoint(server.url, retries=0)
        self.background, self.client = Background(), Client(endpoint)
        self.counter = Counter(self.client, Sender(endpoint), "tiny", {})

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: self.background.run(getattr(self.counter, name)(*arguments))

    def close(self) -> None:
        self.background.run(self.client.close())
        self.background.close()


@pytest.fixture
def counter(server: Server):
    counting = Counting(server)
    yield counting
    counting.close()


def test_a_text_is_counted_once(counter: Counting, server: Server) -> None:
    messages = [{"role": "user", "content": "How many pictures?"}]
    assert [counter.text(messages), counter.text(messages)] == [8, 8]
    assert counter.text([{"role": "user", "content": "How?"}]) == 6
    assert [probe["max_tokens"] for probe in server.probes] == [1, 1]


@pytest.mark.parametrize("way", ["frames", "images"])
def test_pictures_are_counted_once_for_each_size(counter: Counting, server: Server, way) -> None:
    assert counter.expected([CLIP, STILL, CLIP], way) == [8 * TOKENS, TOKENS, 8 * TOKENS]
    before = len(server.probes)
    assert counter.expected([clip(32, 8, 6)], way) == [32 * TOKENS]
    assert len(server.probes) == before
    assert counter.picture(clip(32, 6, 8), way) == TOKENS
    assert len(server.probes) == before + 1


def test_pictures_that_are_dropped_without_a_word_are_an_error(counter: Counting, server: Server) -> None:
    server.sees = {"image"}
    assert counter.picture(CLIP, "images") == counter.picture(STILL, "frames") == TOKENS
    with pytest.raises(Unseen, match="tiny does not see videos that are sent as frames: 6 tokens with them, 6 without"):
        counter.picture(CLIP, "frames")
    server.rejects = {"video": 400}
    with pytest.raises(Refused, match="video is not allowed"):
        counter.picture(CLIP, "frames")


def test_a_small_picture_is_of_the_same_kind() -> None:
    assert isinstance(small(CLIP), Clip)
    assert isinstance(small(STILL), Still)


SENDING = Sending([], [], 9)


def test_what_the_media_took_is_shared_out_as_each_takes_alone() -> None:
    shown = seen([CLIP, STILL], SENDING, 207, 7, [Fraction(160), Fraction(40)])
    assert (shown.tokens, shown.notes) == ((160, 40), ())
    assert seen([CLIP, STILL], SENDING, 208, 7, [Fraction(160), Fraction(40)]).tokens == (161, 40)
    assert sum(seen([CLIP, STILL], SENDING, 107, 7, None).tokens) == 100


def test_less_than_it_should_be_is_told() -> None:
    expected = [Fraction(640)]
    assert seen([CLIP], SENDING, 7 + 640, 7, expected).notes == ()
    assert seen([CLIP], SENDING, 7 + 630, 7, expected).notes == ()
    (note,) = seen([CLIP], SENDING, 7 + 512, 7, expected).notes
    assert note.startswith("the server counts 512 visual tokens where the pictures sent take 640")


@pytest.mark.parametrize("prompt", [7, 3, 7 + 8])
def test_nothing_or_less_than_a_token_a_picture_is_an_error(prompt: int) -> None:
    with pytest.raises(Unseen, match="the server has dropped the media"):
        seen([CLIP, STILL], SENDING, prompt, 7, None)
