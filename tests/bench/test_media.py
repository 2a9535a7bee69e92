# SPDX-License-Identifier: Apache-2.0
"""Videos to measure with are of the kinds that they are said to be, and no two frames of one are alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

from llava_cli.bench import media

HEIGHT, SECONDS = 72, 1.2
FRAMES = round(SECONDS * media.RATE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    paths, missing = media.render_all(folder, HEIGHT, SECONDS)
    assert missing == []
    return {path.name: path for path in paths}


def stamps(path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_there_are_at_least_eight_kinds(made):
    assert list(made) == [kind.name for kind in media.KINDS]
    assert len(made) >= 8


@pytest.mark.parametrize("kind", media.KINDS, ids=lambda kind: kind.name)
def test_a_video_has_all_its_frames_in_order(made, kind):
    with av.open(str(made[kind.name])) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in {"libx264": ("h264",), "libx265": ("hevc",)}.get(
            kind.codec, ("vp9", "libvpx-vp9", "av1", "libdav1d")
        )
        assert stream.height == HEIGHT * kind.scale
    times = stamps(made[kind.name])
    assert len(times) == max(2, round(FRAMES * kind.part)) * kind.copies
    assert all(here < there for here, there in pairwise(times))


def test_what_a_kind_is_said_to_be_is_so(made):
    steps = np.diff(stamps(made["h264-varying.mkv"]))
    assert steps.max() > 1.5 * steps.min()
    with av.open(str(made["h264-rotated.mov"])) as container:
        assert next(container.decode(video=0)).rotation == 90
    keys = {}
    for name in ("h264-gop30.mp4", "h264-gop250.mp4", "h264-long.mp4"):
        with av.open(str(made[name])) as container:
            keys[name] = sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    assert keys == {"h264-gop30.mp4": 1, "h264-gop250.mp4": 1, "h264-long.mp4": 12}


def test_no_two_frames_are_alike():
    frames = list(media._panned(5, 64, 36))
    assert all(np.abs(a.astype(int) - b).mean() > 1 for a, b in pairwise(frames))


def test_a_kind_whose_encoder_is_missing_is_left_out_and_told(tmp_path, monkeypatch):
    rare = replace(media.KINDS[0], name="rare.mp4", codec="no-such-encoder")
    monkeypatch.setattr(media, "KINDS", (media.KINDS[0], rare))
    paths, missing = media.render_all(tmp_path, HEIGHT, SECONDS)
    assert [path.name for path in paths] == [media.KINDS[0].name]
    assert missing == ["no-such-encoder"]
