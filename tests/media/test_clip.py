# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from llava_cli.media import Clip, MediaInfo, Still

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
