# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llava_cli.media.errors import SeekError
from llava_cli.media.reader import Reader
from llava_cli.media.source import Source
from llava_cli.media.table import from_index, from_packets

Rendered = Callable[[str], Path]


def stream(codec: str = "h264", container: str = "matroska,webm") -> Any:
    return SimpleNamespace(
        codec_context=SimpleNamespace(codec=SimpleNamespace(canonical_name=codec)),
        container=SimpleNamespace(format=SimpleNamespace(name=container)),
        time_base=Fraction(1, 1000),
    )


class Packet(SimpleNamespace):
    def __bytes__(self) -> bytes:
        return self.data


def packet(pts: int | None, key: bool = False, discard: bool = False, duration: int = 40, data: bytes = b"") -> Any:
    return Packet(pts=pts, dts=pts, is_keyframe=key, is_discard=discard, duration=duration, data=data)


def test_frames_are_in_order_within_their_group() -> None:
    packets = [
        packet(0, key=True),
        packet(120),
        packet(40),
        packet(80),
        packet(200, key=True),
        packet(160),
        packet(240),
    ]
    table = from_packets(stream(), packets)
    assert table.pts is not None
    assert list(table.pts) == [0, 40, 80, 120, 160, 200, 240]
    assert [(group.packet, group.first, group.pts) for group in table.groups] == [(0, 0, 0), (4, 4, 200)]
    assert [table.group_of(index) for index in range(7)] == [0, 0, 0, 0, 1, 1, 1]
    assert (table.size(0), table.size(1)) == (4, 3)
    assert table.timeline.duration == pytest.approx(0.28)


def test_hidden_frames_do_not_count() -> None:
    packets = [packet(0, key=True, discard=True), packet(40, discard=True), packet(80), packet(120)]
    table = from_packets(stream(), packets)
    assert table.total == 2
    assert table.timeline.times[0] == 0


def test_the_last_frames_length_is_that_of_the_one_shown_last() -> None:
    table = from_packets(stream(), [packet(0, key=True), packet(500, duration=700), packet(100, duration=400)])
    assert table.timeline.duration == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("reason", "packets"),
    [
        ("without a presentation stamp", [packet(0, key=True), packet(None)]),
        ("do not rise", [packet(0, key=True), packet(40), packet(40)]),
        ("do not rise", [packet(0, key=True), packet(80), packet(40, key=True)]),
        ("no keyframe to start from", [packet(0), packet(40, key=True)]),
        ("no keyframe to start from", []),
    ],
)
def test_stamps_that_cannot_be_trusted(reason: str, packets: list[Any]) -> None:
    with pytest.raises(SeekError, match=reason):
        from_packets(stream(), packets)


@pytest.mark.parametrize(
    ("codec", "container", "data"),
    [("h264", "avi", b""), ("hevc", "avi", b""), ("vp7", "nuv", b""), ("mpeg4", "avi", b"\0\0\1\xb2DivX503b1393p")],
)
def test_codecs_that_cannot_be_trusted(codec: str, container: str, data: bytes) -> None:
    with pytest.raises(SeekError):
        from_packets(stream(codec, container), [packet(0, key=True, data=data)])


@pytest.mark.parametrize("name", ["h264", "open_gop", "hevc", "delayed", "rotated_90"])
def test_the_index_says_what_the_packets_say(rendered: Rendered, name: str) -> None:
    with Reader(Source(str(rendered(name)), name)) as reader:
        index = from_index(reader.stream)
        packets = from_packets(reader.stream, reader.packets())
    assert index is not None
    assert [(group.packet, group.first, group.dts) for group in index.groups] == [
        (group.packet, group.first, group.dts) for group in packets.groups
    ]
    assert index.timeline.times == pytest.approx(packets.timeline.times)
    assert index.timeline.duration == pytest.approx(packets.timeline.duration)
    assert not index.jittery


@pytest.mark.parametrize("name", ["vfr", "mkv", "fragmented", "mpegts", "avi", "vp8"])
def test_an_index_with_gaps_or_a_varying_rate_is_not_used(rendered: Rendered, name: str) -> None:
    with Reader(Source(str(rendered(name)), name)) as reader:
        assert from_index(reader.stream) is None


def test_an_index_that_lists_more_packets_than_the_file_has_bytes_is_not_used(
    rendered: Rendered, tmp_path: Path
) -> None:
    """A few bytes can claim packets by the million: all of one size and one duration, in one chunk."""
    data = bytearray(rendered("one_frame").read_bytes().replace(b"edts", b"free").replace(b"stss", b"free"))
    for table, field, value in ((b"stsz", 0, 1), (b"stsz", 1, 10**6), (b"stts", 1, 10**6), (b"stsc", 2, 10**6)):
        struct.pack_into(">I", data, data.index(table) + 8 + 4 * field, value)
    (tmp_path / "x.mp4").write_bytes(data)
    with Reader(Source(str(tmp_path / "x.mp4"), "x")) as reader:
        assert len(reader.stream.index_entries) == 10**6
        assert from_index(reader.stream) is None
