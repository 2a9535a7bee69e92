# SPDX-License-Identifier: Apache-2.0
"""A frame is right if it shows what it is taken for, and no neighbour of it."""

from __future__ import annotations

import numpy as np
import pytest
from media.rendering import read_mark

from llava_cli.bench.peers import SIDE
from llava_cli.bench.truth import NEAR, Truth, decode_all, judge
from llava_cli.errors import InputError


def flat(level: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


TRUTH = Truth(20, {index: flat(index * 2) for index in range(20)})


def judged(indices, levels, asked=None):
    return judge(indices, np.stack([flat(level) for level in levels]), TRUTH, asked or len(indices))


def test_frames_as_they_were_taken_for_are_exact():
    verdict = judged([3, 10], [6, 20])
    assert (verdict.right, verdict.identical, verdict.wanted, verdict.exact) == (2, 2, 2, True)


@pytest.mark.parametrize("level", [18, 22, 38])
def test_a_frame_that_is_another_is_not_right(level):
    verdict = judged([3, 10], [6, level])
    assert (verdict.right, verdict.identical, verdict.exact) == (1, 1, False)


def test_pixels_a_little_apart_are_right_but_not_the_same():
    assert (judged([10], [21]).right, judged([10], [21]).identical) == (1, 0)


def test_a_picture_that_looks_like_none_is_wrong_though_one_is_nearest():
    only = Truth(1, {0: flat(0)})
    assert judge([0], np.stack([flat(90)]), only, 1).right == 0


def test_frames_that_do_not_move_cannot_be_told_apart():
    still = Truth(5, {index: flat(7) for index in range(5)})
    assert judge([2], np.stack([flat(7)]), still, 1).exact


def test_frames_that_are_missing_or_beyond_the_end_are_not_right():
    assert not judged([3], [6], asked=2).exact
    assert judged([25], [50]).right == 0


def test_a_video_with_fewer_frames_than_asked_for_gives_them_all():
    short = Truth(1, {0: flat(9)})
    assert judge([0], np.stack([flat(9)]), short, 8).exact


def test_a_full_decode_keeps_what_is_asked_for_and_its_neighbours(rendered):
    truth = decode_all(rendered("h264"), [1, 50])
    assert truth.total == 100
    assert sorted(truth.frames) == [*range(1 + NEAR + 1), *range(50 - NEAR, 50 + NEAR + 1)]
    assert {index: read_mark(pixels) for index, pixels in truth.frames.items()} == {i: i for i in truth.frames}


def test_what_is_no_video_cannot_be_compared_with(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    with pytest.raises(InputError, match=r"bad\.mp4"):
        decode_all(tmp_path / "bad.mp4", [0])


@pytest.mark.parametrize("name", ["rotated_90", "rotated_180", "rotated_270", "wide_pixels", "wide_rotated"])
def test_a_full_decode_is_upright_and_in_shape(rendered, name):
    shown = decode_all(rendered(name), [5]).frames[5]
    plain = decode_all(rendered("h264"), [5]).frames[5]
    if name.startswith("rotated"):
        assert np.abs(shown.astype(int) - plain).mean() < 8
    assert shown.shape == (SIDE, SIDE, 3)
