# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from media.reading import source
from media.rendering import marked, read_mark, two_tracks

from llava_cli.media.errors import MediaError, SeekError
from llava_cli.media.limits import Limits
from llava_cli.media.reader import Reader
from llava_cli.media.source import Source
from llava_cli.media.table import from_packets

Rendered = Callable[[str], Path]


def shown(path: Path) -> set[int]:
    with Reader(source(path)) as reader:
        return {read_mark(frame.to_ndarray(format="rgb24")) for frame in reader.decode_all()}


def test_the_track_that_players_show(tmp_path: Path) -> None:
    two_tracks(tmp_path / "x.mkv", Disposition(0), Disposition.default)
    assert shown(tmp_path / "x.mkv") == {7}
    two_tracks(tmp_path / "y.mkv", Disposition.default, Disposition(0))
    assert shown(tmp_path / "y.mkv") == {3}


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.m4a"), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=8000)
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate, silence.pts = 8000, 0
        picture = av.VideoFrame.from_ndarray(marked(1, 64, 48), "rgb24")
        picture.pts = 0
        for stream, frame in ((cover, picture), (sound, silence)):
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    with av.open(str(tmp_path / "x.m4a")) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(MediaError, match="has no video stream"):
        Reader(source(tmp_path / "x.m4a"))


def test_a_seek_that_leads_to_other_packets_is_noticed(rendered: Rendered) -> None:
    with Reader(source(rendered("mkv"))) as reader:
        table = from_packets(reader.stream, reader.packets())
        assert [index for index, _ in reader.frames_of(table, 2, [30])] == [30]
        order = array("q", table.order or [])
        order[table.groups[2].packet + 1] += 1
        with pytest.raises(SeekError, match="not the same after a seek"):
            list(reader.frames_of(replace(table, order=order), 2, [30]))


def test_a_keyframe_that_is_not_there_is_noticed(rendered: Rendered) -> None:
    with Reader(source(rendered("mkv"))) as reader:
        table = from_packets(reader.stream, reader.packets())
        groups = [replace(group, pts=(group.pts or 0) + 1) for group in table.groups]
        with pytest.raises(SeekError, match="misses a keyframe"):
            list(reader.frames_of(replace(table, groups=groups), 2, [30]))


def test_too_many_pixels_are_refused_on_opening(rendered: Rendered) -> None:
    path = rendered("h264")
    with Reader(Source(str(path), path.name, Limits(max_pixels=64 * 48))):
        pass
    with pytest.raises(MediaError, match="claims 64x48 pixels, more than the 3071 allowed; --max-pixels"):
        Reader(Source(str(path), path.name, Limits(max_pixels=64 * 48 - 1)))


def test_what_is_refused_is_closed(rendered: Rendered) -> None:
    """Also while the error is being handled, which holds on to the reader."""
    path = rendered("h264")
    with pytest.raises(MediaError, match="--max-pixels") as caught:
        Reader(Source(str(path), path.name, Limits(max_pixels=1)))
    assert caught.tb is not None
    assert path not in [link.resolve() for link in Path("/proc/self/fd").iterdir()]


@pytest.mark.parametrize(("said", "refused"), [(BlockingIOError, 0), (IndexError, 0), (av.error.InvalidDataError, 1)])
def test_what_a_demuxer_says_on_the_way_loses_no_packet(
    rendered: Rendered, said: type[Exception], refused: int
) -> None:
    """FFmpeg asks to be asked again; PyAV ends on an IndexError where a track has appeared that it does not know."""

    class Demuxer:
        def __init__(self) -> None:
            self.packets = [*opened.container.demux(opened.stream)]
            self.told = False

        def demux(self, stream: object) -> Iterator[av.Packet]:
            while self.packets:
                if len(self.packets) == (30 if said is BlockingIOError else 1) and not self.told:
                    self.told = True
                    raise said(1, "")
                yield self.packets.pop(0)

    with Reader(source(rendered("mkv"))) as opened, Reader(source(rendered("mkv"))) as reader:
        container, reader.container = reader.container, Demuxer()  # type: ignore[assignment]
        assert len(list(reader.packets())) == 60
        assert reader.damaged == refused
        reader.container = container


@pytest.mark.parametrize(("name", "seconds"), [("h264", 4.0), ("mkv", 2.502), ("vp9", 2.4), ("mpegts", 2.4)])
def test_declared_duration(rendered: Rendered, name: str, seconds: float) -> None:
    with Reader(source(rendered(name))) as reader:
        assert reader.declared_duration() == pytest.approx(seconds, abs=0.1)
