# SPDX-License-Identifier: Apache-2.0
"""Which video stays open: the last one, as long as it is the same file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from llava_cli.media.last import LastVideo
from llava_cli.media.limits import Limits
from llava_cli.media.source import HeldSource

Rendered = Callable[[str], Path]


@contextmanager
def held(path: Path) -> Iterator[HeldSource]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield HeldSource(str(path), path.name, held=descriptor)
    finally:
        os.close(descriptor)


def test_the_same_file_is_the_same_video_also_when_its_descriptor_has_been_closed(rendered: Rendered) -> None:
    with closing(LastVideo()) as last:
        with held(rendered("h264")) as source:
            first = last.of(source)
        with held(rendered("h264")) as source:
            assert last.of(source) is first
        with first.reader() as reader:
            assert reader.stream.frames == 100


def test_another_file_other_limits_or_a_changed_one_are_another_video(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    shutil.copy(rendered("h264"), path)
    with closing(LastVideo()) as last:
        seen = []
        for change in (None, lambda: path.write_bytes(rendered("vp9").read_bytes()), None):
            if change:
                change()
            with held(path) as source:
                seen.append(last.of(source))
                seen.append(last.of(replace(source, limits=Limits(max_walk=7))))
        with held(rendered("h264")) as source:
            seen.append(last.of(source))
        assert len(set(map(id, seen))) == len(seen)


def test_when_it_is_let_go_nothing_of_it_stays_open(rendered: Rendered) -> None:
    before = len(os.listdir("/proc/self/fd"))
    last = LastVideo()
    with held(rendered("h264")) as source, last.of(source).reader():
        pass
    last.close()
    last.close()
    assert len(os.listdir("/proc/self/fd")) == before
