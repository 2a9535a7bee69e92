# SPDX-License-Identifier: Apache-2.0
"""The media of a conversation: opened once, decoded once for each view, told of once."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import clip

from llava_cli.errors import InputError
from llava_cli.media.clip import Sampling, View
from llava_cli.media.limits import DEFAULT
from llava_cli.media.opened import OpenMedia
from llava_cli.media.source import Source
from llava_cli.media.worker.pool import Decoded

FOUR, EIGHT = (View((48, 48), "crop", Sampling(frames=frames)) for frames in (4, 8))


class Pool:
    """Notes what is to be decoded; it is done at once, unless the pool is held."""

    def __init__(self) -> None:
        self.tasks: list[list[tuple[str, View]]] = []
        self.sources: list[Source] = []
        self.seconds = 0.5
        self.error: Exception | None = None
        self.held: list[Future[Decoded]] | None = None

    def submit(self, media: Sequence[tuple[Source, View]]) -> Future[Decoded]:
        self.sources += [source for source, _ in media]
        self.tasks.append([(Path(source.name).name, view) for source, view in media])
        future: Future[Decoded] = Future()
        if self.held is not None:
            self.held.append(future)
        elif self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(Decoded([clip(2, 8, 8, seed) for seed, _ in enumerate(media)], self.seconds))
        return future


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def opened(pool: Pool) -> Iterator[OpenMedia]:
    media = OpenMedia(pool, DEFAULT)  # type: ignore[arg-type]
    yield media
    media.close()


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"frames")
    return [str(tmp_path / name) for name in ("a.mp4", "b.mp4")]


def seen_in(view: View, names: Sequence[str]) -> list[tuple[str, View]]:
    return [(name, view) for name in names]


def test_each_is_decoded_once_for_each_view(opened, pool, names):
    opened.begin(seen_in(FOUR, [*names, names[0]]))
    opened.begin(seen_in(FOUR, names[:1]))
    seen = opened.shown(seen_in(FOUR, names))
    assert opened.shown(seen_in(FOUR, names[:1])) == seen[:1]
    assert opened.shown(seen_in(EIGHT, names[1:])) != seen[1:]
    assert pool.tasks == [[("a.mp4", FOUR), ("b.mp4", FOUR)], [("b.mp4", EIGHT)]]
    assert pool.sources[1] is pool.sources[2]


def test_one_file_may_be_seen_in_several_views_together(opened, pool, names):
    wanted = [(names[0], FOUR), (names[0], EIGHT), (names[0], FOUR)]
    first, second, third = opened.shown(wanted)
    assert first is third
    assert first is not second
    assert pool.tasks == [[("a.mp4", FOUR), ("a.mp4", EIGHT)]]
    assert pool.sources[0] is pool.sources[1]


def test_it_is_busy_until_everything_is_decoded(opened, pool, names):
    assert not opened.busy
    pool.held = []
    for name in names:
        opened.begin(seen_in(FOUR, [name]))
    for future in pool.held:
        assert opened.busy
        future.set_result(Decoded([clip(2, 8, 8)], 0.5))
    assert not opened.busy


def test_the_seconds_of_all_decoding_add_up(opened, pool, names):
    opened.begin(seen_in(FOUR, names))
    assert opened.decode_s == 0
    opened.shown(seen_in(FOUR, names))
    pool.seconds = 0.25
    opened.shown(seen_in(EIGHT, names))
    opened.shown(seen_in(FOUR, names))
    assert opened.decode_s == 0.75


def test_a_file_that_cannot_be_decoded_is_told_and_tried_again(opened, pool, names):
    pool.error = InputError("a.mp4: is damaged")
    with pytest.raises(InputError, match="is damaged"):
        opened.shown(seen_in(FOUR, names))
    pool.error = None
    assert len(opened.shown(seen_in(FOUR, names))) == 2
    assert len(pool.tasks) == 2


def test_a_pipe_is_read_once_and_what_was_copied_of_it_goes(opened, pool, tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"frames",))
    writer.start()
    opened.begin(seen_in(FOUR, [str(pipe)]))
    writer.join()
    opened.begin(seen_in(EIGHT, [str(pipe)]))
    one, other = pool.sources
    assert one is other
    assert Path(one.path).read_bytes() == b"frames"
    opened.close()
    assert not Path(one.path).exists()


def test_what_is_odd_about_a_medium_is_said_once(opened, caplog):
    seen = clip(2, 8, 8)
    odd = replace(seen, info=replace(seen.info, warnings=("cut short", "HDR")))
    with caplog.at_level(logging.WARNING):
        opened.tell_of([odd, odd])
        opened.tell_of([odd])
        assert caplog.messages == ["clip.mp4: cut short", "clip.mp4: HDR"]
        opened.tell_of([replace(odd)])
    assert len(caplog.messages) == 4
