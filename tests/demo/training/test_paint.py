# SPDX-License-Identifier: Apache-2.0
"""Painters: each fills the size it is given, from its numbers alone."""

import numpy as np
import pytest

from llava_cli.demo.training.paint import PAINTERS, person


@pytest.mark.parametrize("kind", PAINTERS)
@pytest.mark.parametrize(("height", "width"), [(48, 64), (60, 33)])
def test_a_painter_fills_its_canvas(kind: str, height: int, width: int) -> None:
    painter = PAINTERS[kind][0]
    seen = []
    for seed in (0, 1, 2, 2):
        picture = painter(np.random.default_rng(seed), height, width)
        assert picture.shape == (height, width, 3)
        assert np.isfinite(picture).all()
        seen.append(np.asarray(picture))
    assert np.array_equal(seen[2], seen[3])
    assert any((one != seen[0]).any() for one in seen)


def test_a_person_may_be_painted_into_a_scene() -> None:
    scene = np.full((60, 80, 3), 128, np.float32)
    painted = person(np.random.default_rng(3), 60, 80, scene)
    changed = (np.abs(painted - scene).max(axis=2) > 4).mean()
    assert 0.01 < changed < 0.95
    assert (scene == 128).all()


def test_shares_are_of_a_hundred_or_so() -> None:
    assert 95 <= sum(share for _, share in PAINTERS.values()) <= 110
    assert all(share > 0 for _, share in PAINTERS.values())
