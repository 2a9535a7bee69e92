# SPDX-License-Identifier: Apache-2.0
"""What runs on nodes, in this process."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from engine.pool.seats import TERMS, StubRunner, query

from llava_cli import __version__
from llava_cli.engine.pool import remote
from llava_cli.engine.pool.remote import RemoteRunner, Seen, Unseen, decode_there
from llava_cli.engine.warm.wire import dump, load
from llava_cli.errors import InputError, ModelError
from llava_cli.media.clip import Sampling, View, outlined
from llava_cli.media.limits import Limits

VIEW = View((24, 24), "squash", Sampling("uniform", 3))


@pytest.fixture(autouse=True)
def workers_end(monkeypatch):
    monkeypatch.setattr(remote, "_workers", {})
    before = Path.cwd()
    yield
    os.chdir(before)
    for worker in remote._workers.values():
        worker.close()


def test_an_engine_of_the_same_version_starts_and_another_says_so():
    assert RemoteRunner(StubRunner()).start(__version__) == TERMS
    told = RemoteRunner(StubRunner()).start("0.0.1")
    assert isinstance(told, ModelError)
    assert f"has llava {__version__}, this machine 0.0.1" in str(told)


def test_what_it_raises_is_told():
    runner = RemoteRunner(StubRunner(loads=False))
    assert str(runner.load()) == "stub: is damaged"
    assert RemoteRunner(StubRunner()).load() is None


def test_media_come_apart_from_what_refers_to_them_and_are_referred_to_again():
    asked = [query("a"), query("b")]
    (one,), (two,) = (q.conversation.media for q in asked)
    place = {id(one): (0, 1), id(two): (1, 0)}
    letter = dump(asked, lambda medium: place[id(medium)])
    assert len(letter) < 2000
    reply = RemoteRunner(StubRunner()).answer(letter, [two, one], [two])
    outcome = load(reply, {(0, 1): one, (0, 0): two, (1, 0): two}.__getitem__)
    assert [completion.text for completion in outcome.said] == ["A", "B"]
    assert [completion.media[0] for completion in outcome.said] == [one, two]


def test_what_is_known_of_media_comes_without_their_pixels(rendered):
    path = rendered("h264")
    seen, media = decode_there([(path.name, VIEW), (str(path), VIEW)], Limits(), str(path.parent))
    assert isinstance(seen, Seen)
    assert len(pickle.dumps(seen)) < 3000
    black = [outlined(*pair) for pair in zip(seen.outlines, seen.shapes, strict=True)]
    assert [one.info.path for one in black] == [path.name, str(path)]
    for one, whole in zip(black, media, strict=True):
        assert one.info == whole.info
        assert one.times == whole.times
        assert one.frames.shape == whole.frames.shape == (3, 24, 24, 3)
        assert not one.frames.any()
        assert one.frames.base.size == 1
    assert np.array_equal(media[0].frames, media[1].frames)
    assert media[0].frames.any()


def test_a_file_that_is_not_there_and_one_that_is_bad_are_different_things(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"nonsense")
    there, _ = decode_there([("bad.mp4", VIEW)], Limits(), str(tmp_path))
    assert isinstance(there, InputError)
    assert decode_there([("bad.mp4", VIEW), ("no.mp4", VIEW)], Limits(), str(tmp_path)) == (Unseen("no.mp4"), [])
    url, _ = decode_there([("https://example.org/x.mp4", VIEW)], Limits(urls="never"), str(tmp_path))
    assert "--allow-urls" in str(url)
