# SPDX-License-Identifier: Apache-2.0
"""Parts of a video by what stays open between them: the frames that each part alone would show, for one opening."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from media.linear import wrong
from media.reading import source
from media.rendering import SPECS, remux

from llava_cli.media import reader, video
from llava_cli.media.clip import Clip, Sampling, View
from llava_cli.media.limits import DEFAULT
from llava_cli.media.sampler import read_clip, read_part
from llava_cli.media.video import Video

Rendered = Callable[[str], Path]

ODD = ("vfr", "vfr_mkv", "jitter", "rotated_90", "delayed", "open_gop", "mpegts", "mpegps", "fragmented", "av1", "vp9")


def view(start: float, end: float, frames: int = 4) -> View:
    return View((48, 48), "full", Sampling("uniform", frames, start=start, end=end))


def same(one: Clip, other: Clip) -> bool:
    return (one.indices, one.times, one.info) == (other.indices, other.times, other.info) and bool(
        np.array_equal(one.frames, other.frames)
    )


def windows(path: Path, parts: int) -> list[View]:
    duration = read_clip(source(path), View((8, 8), "full", Sampling(frames=1))).info.duration or 0.0
    return [view(duration * n / parts, duration * (n + 1) / parts) for n in range(parts)]


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each time that a file is opened."""
    found: list[object] = []
    opened = reader.open_container
    monkeypatch.setattr(reader, "open_container", lambda source: (found.append(source), opened(source))[1])
    return found


@pytest.mark.parametrize("name", ["h264", *ODD])
def test_parts_show_what_each_alone_would_show(rendered: Rendered, name: str) -> None:
    views = windows(rendered(name), 4)
    with closing(Video(source(rendered(name)))) as kept:
        for part in views:
            assert same(read_part(kept, part, 1), read_clip(source(rendered(name)), part, 1))


def test_parts_in_any_order_too(rendered: Rendered) -> None:
    views = windows(rendered("h264"), 4)
    with closing(Video(source(rendered("h264")))) as kept:
        for place in (2, 0, 3, 1, 1):
            assert same(read_part(kept, views[place], 2), read_clip(source(rendered("h264")), views[place], 1))


@pytest.mark.parametrize("name", ["h264", "mkv", "one_group"])
def test_many_parts_cost_one_opening(rendered: Rendered, openings: list[object], name: str) -> None:
    views = windows(rendered(name), 5)
    openings.clear()
    with closing(Video(source(rendered(name)))) as kept:
        for part in views:
            read_part(kept, part, 1)
    assert len(openings) == 1


def test_what_has_to_be_decoded_from_the_start_is_decoded_twice_whatever_the_number_of_parts(
    rendered: Rendered, tmp_path: Path, openings: list[object]
) -> None:
    """Once to count, and once to take: each part goes on from the one before."""
    path = tmp_path / "damaged.mp4"
    remux(rendered("h264"), path, lambda i, data: b"\0\0\0\1\x09" + b"\xff" * 20 if 30 <= i < 36 else data)
    views = windows(path, 5)
    openings.clear()
    with closing(Video(source(path))) as kept:
        parts = [read_part(kept, part, 1) for part in views]
    assert [wrong(path, part, clip, DEFAULT) for part, clip in zip(views, parts, strict=True)] == [None] * 5
    assert len(openings) <= 3  # the first is by the index, until the damage is met


@pytest.mark.parametrize("name", ["one_group", "vfr_mkv", "open_gop"])
def test_a_part_far_from_its_keyframe_goes_on_where_the_one_before_ended(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where all keyframes count as far, each frame is decoded once at most, and comes out as ever."""
    monkeypatch.setattr(video, "FAR", 5)
    monkeypatch.setattr("llava_cli.media.forward.FAR", 5)
    views = windows(rendered(name), 6)
    alone = [read_clip(source(rendered(name)), part, 1) for part in views]
    decoded: list[object] = []
    decode = reader.Reader._decode
    monkeypatch.setattr(
        reader.Reader, "_decode", lambda self, packet: (decoded.append(packet), decode(self, packet))[1]
    )
    with closing(Video(source(rendered(name)))) as kept:
        parts = [read_part(kept, part, 1) for part in views]
        assert all(map(same, parts, alone))
        if name == "one_group":
            assert len([packet for packet in decoded if packet is not None]) <= SPECS[name].frames
        assert same(read_part(kept, views[0], 1), alone[0])  # and back again


def test_a_part_on_which_a_frame_stays_shows_it(rendered: Rendered) -> None:
    """A slide that stands for minutes is on screen in windows in which no frame begins."""
    with closing(Video(source(rendered("vfr")))) as kept:
        gap = next(
            (here, there)
            for here, there in zip(SPECS["vfr"].stamps, SPECS["vfr"].stamps[1:], strict=False)
            if there - here > 500
        )
        clip = read_part(kept, view((gap[0] + 100) / 1000, (gap[0] + 300) / 1000))
    assert clip.times == (gap[0] / 1000,)
    assert "the one on screen is shown" in clip.info.warnings[0]
