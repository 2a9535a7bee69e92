# SPDX-License-Identifier: Apache-2.0
"""An engine as an actor of a cluster that only pretends. On a real one: test_cluster.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from engine.pool.seats import TERMS, StubRunner, query, said
from pictures import clip

from llava_cli.engine.pool import actor as actor_module
from llava_cli.engine.pool.actor import ActorSeat
from llava_cli.engine.pool.pixels import Pixels
from llava_cli.engine.pool.remote import RemoteRunner
from llava_cli.engine.pool.seam import Died, Left
from llava_cli.engine.types import Query
from llava_cli.errors import ModelError
from llava_cli.media.clip import Media
from llava_cli.models.messages import ask


class Cluster:
    """One node. References are calls, which are made when somebody gets them."""

    def __init__(self) -> None:
        self.there, self.looks = True, 1
        self.log: list[str] = []
        self.put: list[list] = []

    def has(self, node: str) -> bool:
        return self.there and node == "one"

    def start_actor(self, kind, arguments, node, gpus):
        self.log.append(f"start with {gpus} on {node}")
        runner = kind(*arguments)
        assert isinstance(runner, RemoteRunner)
        names = ("start", "load", "answer")
        methods = {
            name: SimpleNamespace(remote=lambda *a, name=name: lambda: getattr(runner, name)(*map(self._there, a)))
            for name in names
        }
        return SimpleNamespace(__ray_ready__=SimpleNamespace(remote=lambda: lambda: None), **methods)

    def get(self, reference, wanted):
        for _ in range(self.looks):
            if not wanted():
                raise Died("it was told to end")
        return reference()

    def kill(self, actor) -> None:
        self.log.append("kill")

    def keep(self, media):
        self.put.append(media)
        return f"ref {len(self.put) - 1}"

    def _there(self, argument):
        return self.put[int(argument[4:])] if isinstance(argument, str) and argument.startswith("ref ") else argument


def shown(query: Query) -> list[Media]:
    return list(query.conversation.media)


def seat_on(cluster: Cluster, **runner) -> ActorSeat:
    return ActorSeat(cluster, Pixels(cluster.keep), "one", "one", StubRunner(**runner), 0.5)


def test_it_starts_loads_and_answers_about_the_very_media_it_was_given():
    cluster = Cluster()
    seat = seat_on(cluster)
    assert seat.start() == TERMS
    seat.load()
    asked = [query("a"), query("b"), query("c")]
    outcome = seat.answer(asked)
    assert [one.text for one in outcome.said] == ["A", "B", "C"]
    assert all(o.media[0] is q.conversation.media[0] for o, q in zip(outcome.said, asked, strict=True))
    seat.answer(asked)
    assert len(cluster.put) == 3  # each given once
    assert cluster.log == ["start with 0.5 on one"]


def test_of_media_that_were_decoded_together_each_is_the_right_one():
    cluster = Cluster()
    pixels = Pixels(cluster.keep)
    seat = ActorSeat(cluster, pixels, "one", "one", StubRunner(), 0.5)
    seat.start()
    seat.load()
    seen = []
    seat._runner.answer = lambda batch: seen.append([shown(query) for query in batch]) or said(batch)
    outlines, whole = [clip(1, 4, 4), clip(2, 4, 4)], [clip(1, 8, 8), clip(2, 8, 8)]
    pixels.keep(outlines, cluster.keep(whole))
    asked = [Query(ask("a", [outlines[1], outlines[0]])), Query(ask("b", [outlines[0]]))]
    outcome = seat.answer(asked)
    assert seen == [[[whole[1], whole[0]], [whole[0]]]]
    assert [list(one.media) for one in outcome.said] == [[outlines[1], outlines[0]], [outlines[0]]]


def test_a_fresh_one_follows_as_long_as_the_node_is_there():
    cluster = Cluster()
    seat = seat_on(cluster)
    seat.start()
    seat.start()
    assert cluster.log == ["start with 0.5 on one", "kill", "start with 0.5 on one"]
    cluster.there = False
    with pytest.raises(Left):
        seat.start()
    assert cluster.log[-1] == "kill"


def test_what_its_runner_raises_is_raised_here():
    seat = seat_on(Cluster(), loads=False)
    seat.start()
    with pytest.raises(ModelError, match="stub: is damaged"):
        seat.load()


def test_one_that_is_ended_is_not_waited_for():
    cluster = Cluster()
    seat = seat_on(cluster)
    seat.start()
    seat.kill()
    assert cluster.log[-1] == "kill"
    with pytest.raises(Died, match="told to end"):
        seat.start()


def test_that_a_node_has_no_room_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(actor_module, "_PATIENCE_S", -1.0)
    caplog.set_level("INFO")
    cluster = Cluster()
    cluster.looks = 5
    seat_on(cluster).start()
    assert caplog.messages == ["one has no room for an engine yet: waiting for other work there to end"]
