# SPDX-License-Identifier: Apache-2.0
"""Clips of anything but simple shapes."""

import numpy as np
import pytest

from llava_cli.demo.draw import render
from llava_cli.demo.training.paint import PAINTERS
from llava_cli.demo.training.scenes import Scene, sample_scene
from llava_cli.demo.world import ClipSpec, Shape, dice


@pytest.mark.parametrize("kind", PAINTERS)
def test_scenes_depend_on_their_seed_alone(kind: str) -> None:
    for seed in range(4):
        frames = render(ClipSpec(Scene(kind, seed)), [0.0, 0.4, 0.9], 80, 60)
        assert frames.shape == (3, 60, 80, 3)
        assert frames.dtype == np.uint8
        np.testing.assert_array_equal(frames, render(ClipSpec(Scene(kind, seed)), [0.0, 0.4, 0.9], 80, 60))
    assert (frames != render(ClipSpec(Scene(kind, 99)), [0.0, 0.4, 0.9], 80, 60)).any()


def test_a_scene_holds_no_shapes() -> None:
    assert isinstance(sample_scene(dice("scene")).ground, Scene)
    shape = Shape("circle", "red", (255, 0, 0), ("still",), ((0.5, 0.5),) * 2, (0.1, 0.1))
    with pytest.raises(ValueError, match="no shapes"):
        ClipSpec(Scene("noise", 1), (shape,))
