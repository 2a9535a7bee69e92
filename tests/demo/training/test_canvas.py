# SPDX-License-Identifier: Apache-2.0
"""What painters paint with: masks of the right size and place, textures of known strength."""

import numpy as np
import pytest

from llava_cli.demo.training.canvas import blend, blur, filled, fractal, natural_colour, oval, ramp


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_colours_stay_within_what_pixels_hold(rng: np.random.Generator) -> None:
    colours = np.array([natural_colour(rng) for _ in range(200)])
    assert colours.min() >= 0
    assert colours.max() <= 255
    assert colours.std() > 20


@pytest.mark.parametrize("channels", [1, 3])
def test_textures_have_mean_0_and_deviation_1(rng: np.random.Generator, channels: int) -> None:
    texture = fractal(rng, 40, 60, channels=channels)
    assert texture.shape == (40, 60, channels)
    assert texture.mean() == pytest.approx(0, abs=1e-4)
    assert texture.std() == pytest.approx(1, abs=1e-3)


def test_a_ramp_goes_from_one_colour_to_the_other(rng: np.random.Generator) -> None:
    first, last = (10.0, 20.0, 30.0), (200.0, 100.0, 50.0)
    picture = ramp(rng, 30, 50, first, last)
    assert picture.min(axis=(0, 1)) == pytest.approx(first, abs=0.01)
    assert picture.max(axis=(0, 1)) == pytest.approx(last, abs=0.01)


def test_a_polygon_covers_its_area_and_no_more() -> None:
    mask = filled(40, 60, np.array([[10, 5], [30, 5], [30, 25], [10, 25]]))
    assert 20 * 20 <= mask.sum() <= 22 * 22  # half a pixel around it is partly covered
    assert mask[15, 20] == 1
    assert mask[30, 20] == mask[15, 40] == 0


def test_an_oval_lies_where_it_is_put_and_turns() -> None:
    mask = oval(60, 80, (40, 30), (20, 10))
    assert np.pi * 20 * 10 * 0.98 <= mask.sum() <= np.pi * 21 * 11
    assert mask[30, 57] == 1
    assert mask[47, 40] == 0
    turned = oval(60, 80, (40, 30), (20, 10), tilt=90)
    assert turned[47, 40] == 1
    assert turned[30, 57] == 0


def test_laying_over_takes_as_much_as_the_mask_says() -> None:
    below, above = np.zeros((2, 3, 3), np.float32), np.full((2, 3, 3), 200, np.float32)
    mask = np.array([[0, 0.5, 1]] * 2, np.float32)
    assert blend(below, above, mask)[0, :, 0].tolist() == [0, 100, 200]
    assert blend(below, (10.0, 20.0, 30.0), mask)[1, 2].tolist() == [10, 20, 30]


def test_blurring_spreads_and_a_little_of_it_is_none(rng: np.random.Generator) -> None:
    picture = rng.uniform(0, 255, (40, 40, 3)).astype(np.float32)
    assert blur(picture, 3).std() < picture.std() / 3
    assert blur(picture, 0.1) is picture
