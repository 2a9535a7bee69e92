# SPDX-License-Identifier: Apache-2.0
"""Going on from where a decoder stands. What it shows, and what it saves, is in test_video.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from media.reading import source
from media.rendering import read_mark, remux

from llava_cli.media.errors import SeekError
from llava_cli.media.forward import FAR, Forward
from llava_cli.media.reader import Reader
from llava_cli.media.table import from_packets

Rendered = Callable[[str], Path]


def marks(forward: Forward, table, indices: list[int]) -> list[tuple[int, int]]:
    found = forward.frames_of(table, table.group_of(indices[0]), indices)
    return [(index, read_mark(frame.to_ndarray(format="rgb24"))) for index, frame in found]


def test_each_frame_is_the_wanted_one_ahead_and_back(rendered: Rendered) -> None:
    with Reader(source(rendered("one_group")), strict=True) as reader:
        table, forward = from_packets(reader.stream, reader.packets()), Forward(reader)
        for indices in ([0, 3], [4, 5, 20], [21], [80, 89], [2], [3, 88]):
            assert marks(forward, table, indices) == [(index, index) for index in indices]


def test_it_is_for_groups_that_are_long(rendered: Rendered) -> None:
    with Reader(source(rendered("one_group")), strict=True) as reader:
        table = from_packets(reader.stream, reader.packets())
        assert not Forward.is_for(table, 0)
        assert table.size(0) < FAR


def test_damage_on_the_way_is_no_frame(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    remux(rendered("one_group"), path, lambda i, data: b"\0\0\0\1\x09" + b"\xff" * 20 if i == 30 else data)
    with Reader(source(path), strict=True) as reader:
        table, forward = from_packets(reader.stream, reader.packets()), Forward(reader)
        with pytest.raises(SeekError):
            marks(forward, table, [1, 60])
