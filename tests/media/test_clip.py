# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import numpy as np
import pytest

from llava_cli.media import Clip, MediaInfo, Still
from llava_cli.media.clip import bytes_of, outline, outlined, shape_of

INFO = MediaInfo("x", "video", 4, 2, None, "pyav")


@pytest.mark.parametrize(
    ("shape", "indices", "times"),
    [
        ((2, 4, 3), (0, 1), (0.0, 0.1)),
        ((2, 2, 4, 4), (0, 1), (0.0, 0.1)),
        ((0, 2, 4, 3), (), ()),
        ((2, 2, 4, 3), (0,), (0.0, 0.1)),
        ((2, 2, 4, 3), (0, 1), (0.0,)),
    ],
)
def test_a_clip_holds_frames_each_with_its_index_and_time(
    shape: tuple[int, ...], indices: tuple[int, ...], times: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="frames"):
        Clip(np.zeros(shape, np.uint8), indices, times, INFO)


def test_a_still_holds_one_picture() -> None:
    for shape in ((1, 2, 4, 3), (2, 4), (0, 4, 3)):
        with pytest.raises(ValueError, match="a still holds"):
            Still(np.zeros(shape, np.uint8), INFO)


@pytest.mark.parametrize(
    "medium",
    [
        Clip(np.full((2, 40, 30, 3), 7, np.uint8), (0, 5), (0.0, 0.5), INFO),
        Still(np.full((40, 30, 3), 7, np.uint8), INFO),
    ],
    ids=["clip", "still"],
)
def test_an_outline_has_all_that_is_known_but_the_pixels(medium: Clip | Still) -> None:
    thin = outline(medium)
    assert len(pickle.dumps(thin)) < 1000
    claimed = outlined(thin, shape_of(medium))
    assert shape_of(claimed) == shape_of(medium)
    assert bytes_of([claimed]) == bytes_of([medium])
    pixels = "frames" if isinstance(medium, Clip) else "pixels"
    for one in (thin, claimed):
        kept = {**vars(one), pixels: None}
        assert kept == {**vars(medium), pixels: None}
    assert not getattr(claimed, pixels).any()
